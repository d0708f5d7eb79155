//! The program: parse, configure, log, listen, serve until a signal, drain, exit. Everything else is in the library.

use std::io::Write;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hobnob::admin::{Operations, Readiness};
use hobnob::app::{self, App};
use hobnob::cli::{self, Command, Invocation};
use hobnob::config::{self, Config, Environment, StartErrors};
use hobnob::healthcheck;
use hobnob::lifecycle::{self, Failure, Hangups, Listeners, Reload, Signals};
use hobnob::logging;
use hobnob::metrics::Metrics;

/// A message passes through some hundred small allocations, most of them the drivers' own: with glibc's allocator a
/// durable direct message cost 73 µs of CPU, with this one preloaded 56 (measured on a build whose committers took
/// turns, which was dropped since; saturated, two cores).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// For blocking work that is still running when everything has been stored.
const FAREWELL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()).and_then(perform) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.lines() {
                eprintln!("hobnob: {line}");
            }
            failure.exit_code()
        }
    }
}

fn perform(Invocation { command, flags }: Invocation) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let load = || Config::load(&flags, &environment);
    match command {
        Command::Serve => on_runtime(serve(load()?, load)),
        Command::Migrate { is_restored } => on_runtime(migrate(load()?, is_restored)),
        Command::CheckConfig => print(&Config::explain(&flags, &environment)?.1),
        Command::PrintDefaults => print(&config::default_file()),
        Command::Healthcheck(path) => {
            healthcheck::ask(load()?.server.admin_listen, path).map_err(Failure::Runtime)
        }
        Command::Version => print(concat!("hobnob ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Help(text) => print(&text),
    }
}

async fn serve(
    config: Config,
    load: impl Fn() -> Result<Config, StartErrors>,
) -> Result<(), Failure> {
    let filter = logging::start(&config.logging)?;
    let (stop, mut signals) = Signals::listen(config.server.drain_grace)?;
    let mut hangups = Hangups::listen()?;
    let (metrics, exporter) =
        Metrics::exported().map_err(|error| Failure::Runtime(error.to_string()))?;
    let readiness = Arc::new(Readiness::new(metrics.clone()));
    lifecycle::watch(&readiness, lifecycle::WatchdogPace::default())?;
    let operations = Arc::new(Operations::new(config.server.admin_token.clone(), stop));
    let listeners = Listeners::bind(&config.server, &metrics)?;
    let socket = listeners.serve_admin(&readiness, &exporter, Arc::clone(&operations))?;
    let app = tokio::select! {
        app = App::start(&config, metrics.clone(), Arc::clone(&readiness)) => app?,
        _ = signals.next() => return Ok(()),
    };
    operations.serve(app.clients());
    let limit = socket.limit();
    let grace = config.server.drain_grace;
    let mut reload = Reload {
        running: config,
        metrics,
        apply: |new: &Config| {
            app.reload(new)?;
            limit.set(&new.server);
            filter.set(&new.logging.filter)
        },
    };
    let mut running = pin!(lifecycle::run(
        &app,
        socket,
        &readiness,
        &mut signals,
        grace
    ));
    loop {
        tokio::select! {
            done = &mut running => return done,
            () = hangups.next() => reload.take(load()),
        }
    }
}

async fn migrate(config: Config, is_restored: bool) -> Result<(), Failure> {
    let _ = logging::start(&config.logging)?;
    app::migrate(&config, is_restored).await
}

fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Failure::Runtime(error.to_string()))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(FAREWELL);
    result
}

/// Prints on standard output; a reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Runtime(error.to_string()))
        }
        _ => Ok(()),
    }
}
