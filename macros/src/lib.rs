//! The attribute `#[rate_limited]` of the crate `tidegate`, which re-exports it: depend on that one, with its feature
//! `macros`.

mod function;
mod options;

use proc_macro::TokenStream;

use function::Function;
use options::Options;

/// `#[rate_limited(LIMITER)]` puts a wait for `LIMITER` before the body of a function, and leaves the rest of it as it is. It
/// waits for as long as the limiter says, without a deadline; to give up instead, call the limiter yourself.
///
/// # The limiter
///
/// Any expression whose value is an `ApiRateLimiter` or dereferences to one, whatever its clock: a `static` in a `LazyLock`,
/// `self.limiter` in a method, `get_rate_limiter()`, an argument of the function. It is evaluated once in each call, with the
/// arguments in scope, and is only borrowed.
///
/// # Options
///
/// They come after the limiter, in any order.
///
/// | option | what for |
/// |---|---|
/// | `on_limited = f` | calls `f`, a path or a closure that is `Fn(&RateLimitStatus)`, each time the call is limited, before it waits; evaluated once in each call, limited or not |
/// | `crate = path` | where to find tidegate, if you renamed it or re-export it; `::tidegate` otherwise |
///
/// # Functions, methods and futures
///
/// * A function blocks its thread while it waits.
/// * An `async fn` waits when it is awaited, on tokio's timer, for which it needs tidegate's feature `tokio`. `on_limited` must
///   be `Sync`, and `Send` too if the future has to be. Nothing is charged before the body runs, so a future that is dropped
///   while it waits has cost nothing.
/// * A function that is not `async` but returns a future (`-> impl Future`, and what `#[async_trait]` makes of an `async fn`)
///   waits when it is *called*, blocking the thread, and not when it is awaited.
/// * Methods go like functions, in an `impl` of a trait as well. In a trait, those with a body.
/// * A `const fn` cannot wait, and is refused.
/// * With the attribute twice a function waits for both limiters, the lower first.
#[proc_macro_attribute]
pub fn rate_limited(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let expanded = expand(options, item.clone()).unwrap_or_else(|error| {
        // With the item, or its callers would be told that there is no such function.
        let mut tokens = error.into_compile_error();
        tokens.extend(item);
        tokens
    });
    expanded.into()
}

fn expand(
    options: TokenStream,
    item: proc_macro2::TokenStream,
) -> syn::Result<proc_macro2::TokenStream> {
    let options: Options = syn::parse(options)?;
    let function: Function = syn::parse2(item)?;
    function.behind(&options)
}
