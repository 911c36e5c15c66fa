//! What goes to stderr beside messages for people: tracing events, as text or JSON.

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Overrides which events are shown.
const ENV: &str = "TIDEMARK_LOG";

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// Shows events of a running broker.
pub(crate) fn for_server(filter: &str, format: LogFormat) -> Result<(), Failure> {
    // openraft tells each step at the level of our events; who wants that names it
    let whole = if filter.contains("openraft") { filter.to_owned() } else { format!("{filter},openraft=error") };
    let filter = EnvFilter::try_new(whole).map_err(|cause| {
        Failure::new(format!("--log {filter}: {cause}"))
            .next("write a level (error, warn, info, debug, trace) or a filter such as info,tidemark_server::net=debug")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|cause| Failure::new(format!("logging could not start: {cause}")))
}

/// Shows events of other commands, if the environment asks for them.
pub(crate) fn for_commands() -> Result<(), Failure> {
    match std::env::var(ENV) {
        Ok(filter) if !filter.is_empty() => for_server(&filter, LogFormat::Text),
        _ => Ok(()),
    }
}
