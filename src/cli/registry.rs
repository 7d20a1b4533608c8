//! `leadsman registry`, `leadsman push`, and charts in OCI registries.

use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::{Args as ClapArgs, Subcommand};

use super::args::ChartFrom;
use super::chart_args::{Login, Pull};
use super::pull::{Download, TIMEOUT, registered};
use super::repo::fetcher;
use super::{home, ui};
use crate::base::class::chain;
use crate::base::clock::{Timestamp, rfc3339_seconds};
use crate::base::secret::Secret;
use crate::base::{file, limit};
use crate::chart;
use crate::repo::oci::{Part, Place, Upload, find, get, is_oci, no_provenance, push as upload};
use crate::repo::{Registered, RepositorySpec};
use crate::source::oci::{Access, Credential, Keys, Session, Store};

/// Longest password on stdin.
const PASSWORD_BYTES: u64 = 64 << 10;
/// How often a registry that is not able to answer is asked again, as in Helm.
const RETRIES: u32 = 5;

#[derive(Debug, ClapArgs)]
pub(super) struct Push {
    /// Archive of a chart; its `.prov` file, if there is one, goes with it.
    #[arg(value_name = "CHART")]
    pub(super) archive: PathBuf,
    /// Where to, such as oci://registry.example/charts.
    #[arg(value_name = "REMOTE")]
    pub(super) to: String,
    #[command(flatten)]
    pub(super) login: Login,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Registry {
    #[command(subcommand)]
    pub(super) command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// Keep name and password for a registry, once it takes them.
    Login(LogIn),
    /// Forget name and password of a registry.
    Logout(LogOut),
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct LogIn {
    /// Host of the registry.
    pub(super) host: String,
    /// Name.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(super) username: String,
    /// Password or identity token.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(super) password: String,
    /// Read the password from stdin.
    #[arg(long)]
    pub(super) password_stdin: bool,
    /// Do not verify the server's certificate (kept for Helm; refused).
    #[arg(long)]
    pub(super) insecure: bool,
    /// Ask the registry without TLS.
    #[arg(long)]
    pub(super) plain_http: bool,
    #[command(flatten)]
    pub(super) files: Certificates,
}

/// Files of certificates.
#[derive(Debug, ClapArgs)]
pub(super) struct Certificates {
    /// File of the authorities to trust.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILE")]
    pub(super) ca_file: String,
    /// File of our certificate.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILE")]
    pub(super) cert_file: String,
    /// File of its key.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILE")]
    pub(super) key_file: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct LogOut {
    /// Host of the registry.
    pub(super) host: String,
}

/// Returns a session of what was typed and what is kept.
pub(super) fn session(login: &Login) -> anyhow::Result<Session> {
    session_of(login, keys(login))
}

fn keys(login: &Login) -> Keys {
    if login.username.is_empty() || login.password.is_empty() {
        Keys::Stores(home::registry_files().into_iter().map(Store::File).collect())
    } else {
        fixed(&login.username, &login.password)
    }
}

/// Returns how a registry is asked, by what was typed and what is kept.
pub(super) fn access(login: &Login) -> anyhow::Result<Access> {
    access_of(login, keys(login))
}

/// Returns how a repository that was named is asked: an index, or a registry.
pub(super) fn repository(url: &str, login: &Login) -> anyhow::Result<RepositorySpec> {
    if !is_oci(url) {
        let repository = Registered { url: url.to_owned(), ..registered(login) };
        return Ok(repository.spec(TIMEOUT)?);
    }
    let registry = Some(access(login)?);
    Ok(RepositorySpec {
        url: url.parse()?,
        timeout: TIMEOUT,
        credentials: None,
        tls: None,
        registry,
    })
}

fn fixed(user: &str, password: &str) -> Keys {
    let password = Secret::new(password.to_owned());
    Keys::Fixed(Credential { user: user.to_owned(), password, ..Credential::default() })
}

fn session_of(login: &Login, keys: Keys) -> anyhow::Result<Session> {
    Ok(Session::new(&fetcher()?, access_of(login, keys)?))
}

fn access_of(login: &Login, keys: Keys) -> anyhow::Result<Access> {
    let tls = registered(login).tls()?;
    // With certificates, Helm asks over TLS whatever else is said.
    let plain_http = login.plain_http && tls.is_none();
    Ok(Access { plain_http, keys, tls, proxy: None, timeout: TIMEOUT, retries: RETRIES })
}

/// Certificates are always verified: what says otherwise is refused before anything is asked.
fn refuse_insecure(flag: &str, insecure: bool) -> anyhow::Result<()> {
    if insecure {
        bail!(
            "{flag} is not supported, because leadsman always verifies certificates: trust the registry's authority with --ca-file, or ask without TLS with --plain-http"
        );
    }
    Ok(())
}

fn said(error: crate::repo::Error) -> anyhow::Error {
    anyhow::anyhow!(chain(&error))
}

/// Downloads a chart for `pull`.
///
/// Source: helm v4.3.2 pkg/downloader/chart_downloader.go (`DownloadTo`).
pub(super) async fn download(
    reference: &str,
    version: &str,
    args: &Pull,
) -> anyhow::Result<Download> {
    refuse_insecure("--insecure-skip-tls-verify", args.login.insecure_skip_tls_verify)?;
    let session = session(&args.login)?;
    let place = find(&session, reference, version).await.map_err(said)?;
    let got = get(&session, &place, Part::Archive).await.map_err(said)?;
    ui::print(&got.said());
    let provenance = provenance(&session, &place, &got.bytes, (reference, args)).await;
    Ok(Download { file_name: place.file_name, bytes: got.bytes, provenance })
}

async fn provenance(
    session: &Session,
    place: &Place,
    archive: &[u8],
    (reference, args): (&str, &Pull),
) -> anyhow::Result<(Option<Bytes>, String)> {
    let trust = args.trusted.trust();
    if trust.is_none() && !args.prov {
        return Ok((None, String::new()));
    }
    let got = match (get(session, place, Part::Provenance).await, &trust) {
        (Ok(got), _) => got,
        (Err(_), Some(_)) => return Err(no_provenance(place).into()),
        (Err(error), None) => {
            let why = chain(&error);
            return Ok((None, format!("WARNING: Verification not found for {reference}: {why}\n")));
        }
    };
    ui::print(&got.said());
    let Some(trust) = trust else { return Ok((Some(got.bytes), String::new())) };
    let verification = trust.verify(archive, &got.bytes, &place.file_name)?;
    Ok((Some(got.bytes), verification.to_string()))
}

/// Returns the archive of a chart that a command works with. What was pulled is said on stderr:
/// results alone go to stdout.
pub(super) async fn archive(reference: &str, from: &ChartFrom) -> anyhow::Result<Bytes> {
    refuse_insecure("--insecure-skip-tls-verify", from.login.insecure_skip_tls_verify)?;
    let session = session(&from.login)?;
    let place = find(&session, reference, from.wanted()).await.map_err(said)?;
    let got = get(&session, &place, Part::Archive).await.map_err(said)?;
    ui::say(got.said().trim_end_matches('\n'));
    if let Some(trust) = from.trusted.trust() {
        let signed = get(&session, &place, Part::Provenance).await;
        let signed = signed.map_err(|_| no_provenance(&place))?;
        ui::say(signed.said().trim_end_matches('\n'));
        trust.verify(&got.bytes, &signed.bytes, &place.file_name)?;
    }
    Ok(got.bytes)
}

/// Source: helm v4.3.2 pkg/uploader/chart_uploader.go, pkg/pusher/ocipusher.go.
pub(super) async fn push(args: Push) -> anyhow::Result<ExitCode> {
    let Some((scheme, _)) = args.to.split_once("://") else {
        bail!("scheme prefix missing from remote (e.g. \"oci://\")");
    };
    if !is_oci(&args.to) {
        bail!("scheme {scheme:?} not supported");
    }
    refuse_insecure("--insecure-skip-tls-verify", args.login.insecure_skip_tls_verify)?;
    let session = session(&args.login)?;
    let upload_of = read(&args.archive)?;
    ui::print(&upload(&session, &args.to, &upload_of).await.map_err(said)?);
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Upload> {
    let shown = path.display();
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{shown}: no such file")
        }
        Err(error) => return Err(error).with_context(|| format!("look at `{shown}`")),
    };
    if meta.is_dir() {
        bail!("cannot push directory, must provide chart archive (.tgz)");
    }
    let archive: Bytes = file::read_bytes(path, limit::ARCHIVE_BYTES)?.into();
    chart::load_archive(&archive).map_err(|error| match error {
        chart::Error::NotGzip => {
            let start = &archive[..archive.len().min(super::chart::SNIFFED)];
            anyhow::anyhow!(super::chart::no_archive(&shown.to_string(), start))
        }
        error => error.into(),
    })?;
    let signed = PathBuf::from(format!("{shown}.prov"));
    let provenance = signed.exists().then(|| file::read_bytes(&signed, limit::SOURCE_FILE_BYTES));
    let provenance = provenance.transpose()?.map(Bytes::from);
    // A chart is as old as its archive.
    let time = Timestamp::try_from(meta.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Upload { archive, provenance, created: rfc3339_seconds(time) })
}

pub(super) async fn run(args: Registry) -> anyhow::Result<ExitCode> {
    let own = home::registry_files().into_iter().next();
    let store = Store::File(own.context("no file for logins")?);
    match args.command {
        RegistryCommand::Login(args) => log_in(args, &store).await?,
        RegistryCommand::Logout(args) => {
            store.forget(&args.host).await?;
            ui::print(&format!("Removing login credentials for {}\n", args.host));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Source: helm v4.3.2 pkg/registry/client.go (`Login`).
async fn log_in(args: LogIn, store: &Store) -> anyhow::Result<()> {
    refuse_insecure("--insecure", args.insecure)?;
    let (user, password) = who(&args)?;
    let Certificates { ca_file, cert_file, key_file } = args.files;
    let login = Login {
        username: user.clone(),
        password: password.clone(),
        insecure_skip_tls_verify: false,
        ca_file,
        cert_file,
        key_file,
        plain_http: args.plain_http,
        pass_credentials: false,
    };
    let session = session_of(&login, fixed(&user, &password))?;
    if let Err(error) = session.ping(&args.host).await {
        if matches!(error, crate::source::oci::Error::Reference(_)) {
            return Err(error.into());
        }
        bail!("authenticating to {:?}: {}", args.host, chain(&error));
    }
    let password = Secret::new(password);
    store.put(&args.host, &Credential { user, password, ..Credential::default() }).await?;
    ui::print("Login Succeeded\n");
    Ok(())
}

/// Returns name and password: as typed, from stdin, or asked for.
///
/// Source: helm v4.3.2 pkg/cmd/registry_login.go (`getUsernamePassword`).
fn who(args: &LogIn) -> anyhow::Result<(String, String)> {
    let mut user = args.username.clone();
    if args.password_stdin {
        let mut password = String::new();
        std::io::stdin().take(PASSWORD_BYTES).read_to_string(&mut password)?;
        let line = password.strip_suffix('\n').unwrap_or(&password);
        return Ok((user, line.strip_suffix('\r').unwrap_or(line).to_owned()));
    }
    if !args.password.is_empty() {
        return Ok((user, args.password.clone()));
    }
    if user.is_empty() {
        ui::print("Username: ");
        std::io::stdin().lock().take(PASSWORD_BYTES).read_line(&mut user)?;
        user = user.trim().to_owned();
    }
    let what = if user.is_empty() { "Token" } else { "Password" };
    let password = rpassword::prompt_password(format!("{what}: "))
        .with_context(|| format!("ask for the {}: give --password-stdin", what.to_lowercase()))?;
    if password.is_empty() {
        bail!("{} required", what.to_lowercase());
    }
    Ok((user, password))
}
