//! The attribute `#[rate_limited]` of the crate `tidegate`.
//!
//! Depend on `tidegate` with its feature `macros`, which re-exports the attribute.

mod function;
mod options;

use proc_macro::TokenStream;

use function::Function;
use options::Options;

/// Waits for a limiter before the body of a function runs.
///
/// `#[rate_limited(LIMITER)]` changes nothing else of the function. The wait has no deadline. To
/// give up after a while, call the limiter directly.
///
/// # The limiter
///
/// `LIMITER` is an expression whose value is an `ApiRateLimiter`, with any clock, or dereferences
/// to one. Examples are a `static` in a `LazyLock`, `self.limiter` in a method,
/// `get_rate_limiter()` and an argument of the function. Each call evaluates it once, with the
/// arguments in scope, and borrows the result.
///
/// # Options
///
/// Options follow the limiter, in any order.
///
/// | option | effect |
/// |---|---|
/// | `on_limited = f` | Calls `f` before each wait of a limited call. `f` is a path or a closure that is `Fn(&RateLimitStatus)`. Each call evaluates it once, even if it is not limited. |
/// | `crate = path` | The path of tidegate, if you renamed or re-export it. The default is `::tidegate`. |
///
/// # Functions, methods and futures
///
/// * A function blocks its thread while it waits.
/// * An `async fn` waits when it is awaited, on tidegate's `DefaultTimer`. It needs one of the
///   features `tokio`, `async-io` and `futures-timer` of tidegate. `on_limited` must be `Sync`, and
///   `Send` if the future must be `Send`. A future that is dropped while it waits is charged
///   nothing.
/// * A function that is not `async` but returns a future waits when it is *called*, and blocks the
///   thread. Examples are `-> impl Future` and an `async fn` under `#[async_trait]`.
/// * Methods behave like functions, also in the `impl` of a trait. In a trait, only methods with a
///   body are allowed.
/// * A `const fn` cannot wait and is a compile error.
/// * A function with two attributes waits for both limiters, the lower one first.
#[proc_macro_attribute]
pub fn rate_limited(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let expanded = expand(options, item.clone()).unwrap_or_else(|error| {
        // Keep the item, so that its callers do not cause further errors.
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
    function.with_wait(&options)
}
