//! Parses the arguments of the attribute: `LIMITER, on_limited = f, crate = path`.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Path, Result, Token};

pub(crate) struct Options {
    pub(crate) limiter: Expr,
    pub(crate) on_limited: Option<Expr>,
    /// The path of tidegate, unless it is `::tidegate`.
    pub(crate) tidegate: Option<Path>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self {
            limiter: limiter(input)?,
            on_limited: None,
            tidegate: None,
        };
        while !input.is_empty() {
            if !input.peek(Token![,]) {
                return Err(input.error("expected `,` and an option, or the end of the arguments"));
            }
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                options.parse_option(input)?;
            }
        }
        Ok(options)
    }
}

fn limiter(input: ParseStream<'_>) -> Result<Expr> {
    // Checked first, because `on_limited = f` is also an expression, an assignment.
    let is_option = input.peek(Ident::peek_any) && input.peek2(Token![=]);
    if input.is_empty() || is_option {
        return Err(Error::new(
            input.span(),
            "missing limiter: the first argument is the limiter, as in `#[rate_limited(LIMITER)]`",
        ));
    }
    input.parse()
}

impl Options {
    fn parse_option(&mut self, input: ParseStream<'_>) -> Result<()> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected an option, `on_limited` or `crate`"));
        }
        let name = input.call(Ident::parse_any)?;
        match name.to_string().as_str() {
            "on_limited" => value(&mut self.on_limited, &name, "f", input, Expr::parse),
            "crate" => value(
                &mut self.tidegate,
                &name,
                "my::tidegate",
                input,
                Path::parse_mod_style,
            ),
            unknown => Err(Error::new(
                name.span(),
                format!("unknown option `{unknown}`, expected `on_limited` or `crate`"),
            )),
        }
    }
}

fn value<T>(
    option: &mut Option<T>,
    name: &Ident,
    example: &str,
    input: ParseStream<'_>,
    parse: impl FnOnce(ParseStream<'_>) -> Result<T>,
) -> Result<()> {
    if option.is_some() {
        return Err(Error::new(
            name.span(),
            format!("duplicate option `{name}`"),
        ));
    }
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() || input.peek(Token![,]) {
        return Err(Error::new(
            name.span(),
            format!("`{name}` needs a value, as in `{name} = {example}`"),
        ));
    }
    *option = Some(parse(input)?);
    Ok(())
}
