//! The function under the attribute, and what becomes of it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::token::Brace;
use syn::{Attribute, Error, Lifetime, LitStr, Result, Signature, Token, Visibility, braced};

use crate::options::Options;

/// A function, free or in an `impl` or a trait. The body stays unparsed, so that it may contain what `syn` has not heard of.
pub(crate) struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    brace: Brace,
    /// `#![..]` at the beginning of the body, where they have to stay.
    inner_attributes: Vec<Attribute>,
    body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !starts_a_function(input)? {
            return Err(input.error("`#[rate_limited]` goes on a function, and this is none"));
        }
        let signature = input.parse()?;
        if !input.peek(Brace) {
            return Err(input.error(
                "a function without a body cannot wait: `#[rate_limited]` goes where the body is",
            ));
        }
        let body;
        Ok(Self {
            attributes,
            visibility,
            signature,
            brace: braced!(body in input),
            inner_attributes: body.call(Attribute::parse_inner)?,
            body: body.parse()?,
        })
    }
}

/// Looks past the qualifiers, with which other items start too: `const X`, `unsafe impl`, `extern "C" {}`.
fn starts_a_function(input: ParseStream<'_>) -> Result<bool> {
    let ahead = input.fork();
    while ahead.peek(Token![const])
        || ahead.peek(Token![async])
        || ahead.peek(Token![unsafe])
        || ahead.peek(Token![extern])
        || ahead.peek(LitStr)
    {
        ahead.parse::<TokenTree>()?;
    }
    Ok(ahead.peek(Token![fn]))
}

impl Function {
    /// The same function, which waits for the limiter first.
    pub(crate) fn behind(&self, options: &Options) -> Result<TokenStream> {
        if let Some(constant) = &self.signature.constness {
            return Err(Error::new(constant.span, "a `const fn` cannot wait"));
        }
        match &self.signature.asyncness {
            Some(asynchronous) if !cfg!(feature = "async") => {
                return Err(Error::new(
                    asynchronous.span,
                    "async functions wait on a timer: enable tidegate's feature `tokio`",
                ));
            }
            _ => {}
        }

        let Self {
            attributes,
            visibility,
            signature,
            inner_attributes,
            body,
            ..
        } = self;
        let wait = self.wait(options);
        let mut tokens = quote! { #(#attributes)* #visibility #signature };
        // The body gets a block of its own, because lints complain of items after a statement, and the block a label, because
        // they complain of braces around one expression. Both are where the user's braces are, whose edition says when
        // temporaries are dropped. A function with the attribute twice has one attribute less the second time, and so
        // another label.
        let name = format!("'_rate_limited_{}", attributes.len());
        let label = Lifetime::new(&name, self.brace.span.join());
        self.brace.surround(&mut tokens, |tokens| {
            tokens.extend(quote! { #(#inner_attributes)* #wait #label: });
            self.brace.surround(tokens, |tokens| body.to_tokens(tokens));
        });
        Ok(tokens)
    }

    /// The statement that waits. It calls a path, not a method, so that what is no limiter is a mismatch of types, which names
    /// the type that was expected, and no trait of the user's gets in between.
    fn wait(&self, options: &Options) -> TokenStream {
        let at = expansion_at(options.limiter.span());
        let tidegate = options.tidegate.as_ref().map_or_else(
            || quote_spanned!(at=> ::tidegate),
            ToTokens::to_token_stream,
        );
        let limiter = &options.limiter;
        let on_limited = options.on_limited.as_ref().map_or_else(
            || quote_spanned!(at=> &|_| ()),
            |f| quote_spanned!(expansion_at(f.span())=> &(#f)),
        );

        let pass = if self.signature.asyncness.is_some() {
            quote_spanned!(at=> pass(limiter, #on_limited).await)
        } else {
            quote_spanned!(at=> pass_blocking(limiter, #on_limited))
        };

        // A `match` gives its operand a type of its own. An argument would ask each branch of an `if` for the limiter itself.
        quote_spanned! {at=>
            match &(#limiter) {
                limiter => #tidegate::ApiRateLimiter::#pass,
            };
        }
    }
}

/// Errors in what is expanded there point at the user's tokens, lints know that the user did not write it, and its names are
/// not the user's.
fn expansion_at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// Before the edition of 2024 the temporaries of the last expression outlive the local variables, under the attribute too.
///
/// ```edition2021
/// use std::cell::RefCell;
/// use tidegate::{get_rate_limiter, rate_limited};
///
/// struct Name<'a>(&'static str, &'a RefCell<Vec<&'static str>>);
/// impl Drop for Name<'_> {
///     fn drop(&mut self) {
///         self.1.borrow_mut().push(self.0);
///     }
/// }
///
/// #[rate_limited(get_rate_limiter())]
/// fn length(dropped: &RefCell<Vec<&'static str>>) -> usize {
///     let _local = Name("local", dropped);
///     Name("temporary", dropped).0.len()
/// }
///
/// let dropped = RefCell::default();
/// assert_eq!(length(&dropped), 9);
/// assert_eq!(dropped.into_inner(), ["local", "temporary"]);
/// ```
#[cfg(doctest)]
struct DropOrder;
