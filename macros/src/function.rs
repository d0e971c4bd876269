//! Parses the function under the attribute, and adds the wait to it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::token::Brace;
use syn::{Attribute, Error, Lifetime, LitStr, Result, Signature, Token, Visibility, braced};

use crate::options::Options;

/// A function, free or in an `impl` or a trait. Its body stays unparsed, so that it may contain
/// syntax unknown to `syn`.
pub(crate) struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    brace: Brace,
    /// The attributes `#![..]`, which must stay at the beginning of the body.
    inner_attributes: Vec<Attribute>,
    body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !is_function(input)? {
            return Err(input.error("`#[rate_limited]` applies only to functions"));
        }
        let signature = input.parse()?;
        if !input.peek(Brace) {
            return Err(input.error("`#[rate_limited]` needs a function with a body"));
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

/// Reports whether a function follows. Skips its qualifiers, because other items also start with
/// them: `const X`, `unsafe impl`, `extern "C" {}`.
fn is_function(input: ParseStream<'_>) -> Result<bool> {
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
    /// Returns the function with a wait before its body.
    pub(crate) fn with_wait(&self, options: &Options) -> Result<TokenStream> {
        if let Some(constant) = &self.signature.constness {
            return Err(Error::new(constant.span, "a `const fn` cannot wait"));
        }
        match &self.signature.asyncness {
            Some(asynchronous) if !cfg!(feature = "async") => {
                return Err(Error::new(
                    asynchronous.span,
                    "`#[rate_limited]` on an `async fn` needs one of tidegate's features `tokio`, \
                     `async-io` and `futures-timer`",
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
        // The body has its own block, because a lint warns of items after a statement. The block
        // has a label, because another lint warns of braces around one expression. Both have the
        // span of the user's braces, whose edition decides when temporaries are dropped. A second
        // attribute on the function makes another label, because one attribute less is left then.
        let name = format!("'_rate_limited_{}", attributes.len());
        let label = Lifetime::new(&name, self.brace.span.join());
        self.brace.surround(&mut tokens, |tokens| {
            tokens.extend(quote! { #(#inner_attributes)* #wait #label: });
            self.brace.surround(tokens, |tokens| body.to_tokens(tokens));
        });
        Ok(tokens)
    }

    /// Returns the statement that waits.
    ///
    /// It calls a path instead of a method. So a wrong limiter is a type mismatch that names the
    /// expected type, and the user's traits cannot interfere.
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

        // The operand of a `match` has its own type. As an argument, each branch of an `if` would
        // have to be a limiter.
        quote_spanned! {at=>
            match &(#limiter) {
                limiter => #tidegate::ApiRateLimiter::#pass,
            };
        }
    }
}

/// Returns a span whose errors point at `location`.
///
/// Lints treat the tokens as generated, and their names do not clash with the user's.
fn expansion_at(location: Span) -> Span {
    Span::mixed_site().located_at(location)
}

/// Before edition 2024, temporaries of the last expression outlive local variables. The attribute
/// does not change that.
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
