//! The configuration: finding its file, adding flags to it, `sightline config`.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use sightline_config::{Entry, Flag, Given, Loaded, Origin, Settings, Sources, load};

use crate::places::{self, DataDirOption};
use crate::say;

/// The configuration file of a data directory.
const FILE_NAME: &str = "sightline.toml";

/// The variable that names a file elsewhere.
const FILE_VARIABLE: &str = "SIGHTLINE_CONFIG";

/// The options with which every setting can be given. docs/configuration.md lists the keys.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The configuration file [variable: SIGHTLINE_CONFIG] [default: sightline.toml in the data directory].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets any key of the configuration, such as limits.connections_max=64; may be given several times.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    data: DataDirOption,
    /// The address to listen at; port 0 takes a free one [default: 127.0.0.1:7070].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The region that clients sign for: one that AWS's clients know [default: us-east-1].
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    #[command(flatten)]
    environments: EnvironmentOptions,
    /// Builds no environment that would need a download.
    #[arg(long)]
    offline: bool,
    /// Refuses images of which not every promise can be kept, instead of the nearest environment.
    #[arg(long)]
    strict_images: bool,
}

/// The options of every command that makes environments.
#[derive(Clone, Debug, Args)]
pub(crate) struct EnvironmentOptions {
    /// Where environments are kept [default: ~/.cache/sightline; /var/cache/sightline for root].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<String>,
    /// An interpreter for environments, before those of the system; may be given several times.
    #[arg(long = "python", value_name = "PATH")]
    pythons: Vec<String>,
    /// A TOML file with recipes for further images; docs/environments.md shows one.
    #[arg(long, value_name = "FILE")]
    recipes: Option<String>,
}

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) settings: Settings,
    pub(crate) data_dir: PathBuf,
    entries: Vec<Entry>,
    file: Option<PathBuf>,
}

impl EnvironmentOptions {
    fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        flags.extend(text_flag(
            "--cache-dir",
            "environments.cache_dir",
            &self.cache_dir,
        ));
        flags.extend(text_flag(
            "--recipes",
            "environments.recipes_file",
            &self.recipes,
        ));
        if !self.pythons.is_empty() {
            let pythons = self.pythons.iter().cloned().map(toml::Value::String);
            flags.push(Flag {
                flag: "--python".to_owned(),
                key: "environments.pythons".to_owned(),
                value: Given::Typed(toml::Value::Array(pythons.collect())),
            });
        }
        flags
    }

    /// The configuration of a command that needs no data directory of its own.
    pub(crate) fn load(&self) -> Result<Configuration> {
        let data = DataDirOption { data_dir: None };
        read(None, &data, self.flags())
    }
}

impl Options {
    /// Reads file, variables and flags.
    pub(crate) fn load(&self) -> Result<Configuration> {
        let mut flags = self.environments.flags();
        flags.extend(text_flag("--listen", "server.listen", &self.listen));
        flags.extend(text_flag("--region", "server.region", &self.region));
        let switches = [
            ("--offline", "environments.offline", self.offline),
            (
                "--strict-images",
                "environments.strict_images",
                self.strict_images,
            ),
        ];
        for (flag, key, on) in switches {
            flags.extend(text_flag(flag, key, &on.then(|| "true".to_owned())));
        }
        for setting in &self.set {
            let Some((key, value)) = setting.split_once('=') else {
                bail!("--set {setting}: give it as section.key=value");
            };
            flags.extend(text_flag(
                "--set",
                key.trim(),
                &Some(value.trim().to_owned()),
            ));
        }
        read(self.config.as_deref(), &self.data, flags)
    }
}

fn text_flag(flag: &str, key: &str, value: &Option<String>) -> Option<Flag> {
    Some(Flag {
        flag: flag.to_owned(),
        key: key.to_owned(),
        value: Given::Text(value.clone()?),
    })
}

fn read(file: Option<&Path>, data: &DataDirOption, flags: Vec<Flag>) -> Result<Configuration> {
    let told = file.map(Path::to_owned);
    let told = told.or_else(|| places::variable(FILE_VARIABLE).map(PathBuf::from));
    let lying_there = data.path()?.join(FILE_NAME);
    let text = match &told {
        Some(file) => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the configuration {}", file.display()))?,
        ),
        None => read_if_there(&lying_there)?,
    };
    let file = text.is_some().then(|| told.clone().unwrap_or(lying_there));
    let named = |file: &PathBuf| file.display().to_string();
    let sources = Sources {
        file: file.as_ref().map(named).zip(text),
        variables: places::configuration_variables()?,
        flags,
    };
    let Loaded {
        settings,
        mut entries,
    } = load(&sources)?;
    let mut data = data.clone();
    if let Some(entry) = entries
        .iter_mut()
        .find(|entry| entry.key.name == "server.data_dir")
    {
        let in_file = matches!(entry.origin, Origin::File(_));
        if in_file && told.is_none() {
            bail!(
                "{} lies in a data directory and cannot name another; give the file with --config",
                file.as_ref().map(named).unwrap_or_default()
            );
        }
        if data.data_dir.is_some() {
            entry.origin = Origin::Flag("--data-dir".to_owned());
        } else {
            data.data_dir.clone_from(&settings.server.data_dir);
        }
        entry.value = Some(format!("{:?}", data.path()?.to_string_lossy()));
    }
    Ok(Configuration {
        settings,
        data_dir: data.path()?,
        entries,
        file,
    })
}

fn read_if_there(file: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the configuration {}", file.display()))
        }
    }
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Prints every key with its value and where that comes from.
    Show(Options),
    /// Says whether the configuration can be used, and if not, every reason.
    Check(Options),
}

impl Config {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Show(options) => show(&options.load()?),
            Self::Check(options) => {
                let configuration = options.load()?;
                say::line(match configuration.file {
                    Some(file) => format!("{} can be used", file.display()),
                    None => "there is no configuration file; the defaults are used".to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn show(configuration: &Configuration) {
    let mut section = "";
    for Entry { key, value, origin } in &configuration.entries {
        if section != key.section() {
            let gap = if section.is_empty() { "" } else { "\n" };
            section = key.section();
            say::line(format!("{gap}[{section}]"));
        }
        let name = key.within();
        say::line(match value {
            Some(value) => format!("{name} = {value}  # {origin}"),
            None => format!("# {name} is unset"),
        });
    }
}
