//! `sightline keys`: access keys of users and of the owner.

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use sightline_server::Credentials;

use crate::client::{Client, IAM};
use crate::places::DataDirOption;
use crate::{say, xml};

/// What to do with keys; without a command, the owner's key is printed.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    data: DataDirOption,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a key and prints it: its secret is not shown again.
    Create(Whose),
    /// Lists keys with their status and last use.
    List(Whose),
    /// Switches a key off.
    Disable {
        #[command(flatten)]
        whose: Whose,
        /// The key's id.
        id: String,
    },
    /// Makes a new key and switches the old one off.
    Rotate(Whose),
}

/// Whose keys.
#[derive(Debug, Args)]
struct Whose {
    /// The user whose keys are meant; the owner's without it.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    data: DataDirOption,
}

impl Keys {
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            None => print_owner(&self.data),
            Some(Command::Create(whose)) => {
                let client = Client::of(&whose.data.path()?)?;
                print(&create(&client, whose.user.as_deref())?);
                Ok(())
            }
            Some(Command::List(whose)) => list(&whose),
            Some(Command::Disable { whose, id }) => {
                let client = Client::of(&whose.data.path()?)?;
                disable(&client, whose.user.as_deref(), &id)
            }
            Some(Command::Rotate(whose)) => rotate(&whose),
        }
    }
}

fn print_owner(data: &DataDirOption) -> Result<()> {
    let data_dir = data.path()?;
    let key = sightline_server::read_credentials(&data_dir).with_context(|| {
        format!(
            "{} has no key yet; start a server with: sightline serve",
            data_dir.display()
        )
    })?;
    print(&key);
    Ok(())
}

fn print(key: &Credentials) {
    say::line(format!("access key id      {}", key.access_key_id));
    say::line(format!("secret access key  {}", key.secret_access_key));
}

fn of_user(user: Option<&str>) -> Vec<(&'static str, &str)> {
    user.map(|user| ("UserName", user)).into_iter().collect()
}

fn create(client: &Client, user: Option<&str>) -> Result<Credentials> {
    let answer = client.query(IAM, "CreateAccessKey", &of_user(user))?;
    let part = |name| xml::first(&answer, name).context("the answer has no key");
    Ok(Credentials {
        access_key_id: part("AccessKeyId")?,
        secret_access_key: part("SecretAccessKey")?,
    })
}

/// The ids of keys with their status.
fn known(client: &Client, user: Option<&str>) -> Result<Vec<(String, String)>> {
    let answer = client.query(IAM, "ListAccessKeys", &of_user(user))?;
    let ids = xml::all(&answer, "AccessKeyId");
    Ok(ids.into_iter().zip(xml::all(&answer, "Status")).collect())
}

fn list(whose: &Whose) -> Result<()> {
    let client = Client::of(&whose.data.path()?)?;
    say::line(format!(
        "{:20}  {:8}  LAST USED (UTC)",
        "ACCESS KEY ID", "STATUS"
    ));
    for (id, status) in known(&client, whose.user.as_deref())? {
        let used = client.query(IAM, "GetAccessKeyLastUsed", &[("AccessKeyId", id.as_str())])?;
        let at = xml::first(&used, "LastUsedDate").unwrap_or_else(|| "never".to_owned());
        let service = xml::first(&used, "ServiceName").unwrap_or_default();
        say::line(format!("{id:20}  {status:8}  {at}  {service}"));
    }
    Ok(())
}

fn disable(client: &Client, user: Option<&str>, id: &str) -> Result<()> {
    let mut parameters = of_user(user);
    parameters.extend([("AccessKeyId", id), ("Status", "Inactive")]);
    client.query(IAM, "UpdateAccessKey", &parameters)?;
    say::line(format!("{id} is switched off"));
    Ok(())
}

fn rotate(whose: &Whose) -> Result<()> {
    let data_dir = whose.data.path()?;
    let client = Client::of(&data_dir)?;
    let user = whose.user.as_deref();
    let before = known(&client, user)?;
    let [(old, _)] = before.as_slice() else {
        bail!(
            "there are {} keys, and rotation needs exactly one: delete what is not used with \
             `aws iam delete-access-key`",
            before.len()
        );
    };
    let key = create(&client, user)?;
    print(&key);
    if user.is_none() {
        sightline_server::write_credentials(&data_dir, &key)?;
    }
    // Signed with the new key where the old one is the owner's own.
    disable(&Client::of(&data_dir)?, user, old)
}
