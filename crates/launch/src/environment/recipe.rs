//! Recipes: which environments stand in for which image.
//!
//! The built-in ones lie in `recipes/` as TOML and are part of the binary. Reading them checks
//! everything that a build relies on, so that a mistake shows at the start and not in a job.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::image::ImageName;

const SCIKIT_LEARN: &str = include_str!("../../recipes/scikit-learn.toml");

/// Images that are known here, and the environments that can stand in for them.
#[derive(Clone, Debug, Default)]
pub struct Recipes {
    images: Vec<ImageRecipe>,
    environments: BTreeMap<String, EnvironmentRecipe>,
}

/// A recipe file that contradicts itself or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// It is not TOML, or not of the expected form.
    #[error("the recipes cannot be read")]
    Form(#[from] toml::de::Error),
    /// A package is not named with its exact version.
    #[error("{text:?} does not read as name==version")]
    Pin {
        /// The text as given.
        text: String,
    },
    /// A Python version is not of the form `3.11`.
    #[error("{text:?} is not a Python version such as 3.11")]
    Python {
        /// The text as given.
        text: String,
    },
    /// An environment's name would not do as part of a file name.
    #[error("environment name {name:?} may hold letters, digits, dots and dashes only")]
    Name {
        /// The name as given.
        name: String,
    },
    /// Two entries have the same name.
    #[error("{name} is described twice")]
    Twice {
        /// What is named twice.
        name: String,
    },
    /// An image names an environment that is not described.
    #[error("image {image} names the environment {environment}, which is not described")]
    NoEnvironment {
        /// The image.
        image: String,
        /// The environment it names.
        environment: String,
    },
}

/// What the name of an image promises, and what can stand in for it.
#[derive(Clone, Debug)]
pub(super) struct ImageRecipe {
    repository: String,
    tag: String,
    /// The Python that the image holds.
    pub(super) python: Python,
    /// The packages that its name is relied on for; the first is what the image is named after.
    pub(super) packages: Vec<Pin>,
    /// Names of environments, the nearest first.
    pub(super) environments: Vec<String>,
    /// Variables that programs in the image find set.
    pub(super) variables: BTreeMap<String, String>,
}

/// An installed set of packages, named exactly.
#[derive(Clone, Debug)]
pub(super) struct EnvironmentRecipe {
    pub(super) name: String,
    pub(super) python: Python,
    /// Processor architectures that have wheels of every package; empty for no restriction.
    pub(super) machines: Vec<String>,
    /// Why these versions and not the promised ones, as the end of a sentence.
    pub(super) why: Option<String>,
    pub(super) packages: BTreeSet<Pin>,
}

/// A minor version of Python, such as 3.11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Python {
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// A package with its exact version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pin {
    pub(super) name: String,
    pub(super) version: String,
}

impl Recipes {
    /// The recipes that are part of the binary.
    pub fn embedded() -> Result<Self, RecipeError> {
        Self::parse(SCIKIT_LEARN)
    }

    /// The operator's recipes, and behind them those that are part of the binary.
    ///
    /// An image that both know stands for what the operator says; environments may be shared.
    pub fn with_embedded(operators: &str) -> Result<Self, RecipeError> {
        let mut recipes = Self::embedded()?;
        let embedded = std::mem::take(&mut recipes.images);
        recipes.read(operators)?;
        recipes.images.extend(embedded);
        Ok(recipes)
    }

    /// Reads recipes from the text of a TOML file.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let mut recipes = Self::default();
        recipes.read(text)?;
        Ok(recipes)
    }

    fn read(&mut self, text: &str) -> Result<(), RecipeError> {
        let file: RecipeFile = toml::from_str(text)?;
        for form in file.environment {
            let recipe = EnvironmentRecipe::try_from(form)?;
            let name = recipe.name.clone();
            if self.environments.insert(name.clone(), recipe).is_some() {
                return Err(RecipeError::Twice { name });
            }
        }
        for form in file.image {
            let recipe = ImageRecipe::try_from(form)?;
            self.check_image(&recipe)?;
            self.images.push(recipe);
        }
        Ok(())
    }

    /// The recipe of `image`, if it is known.
    pub(super) fn image(&self, image: &ImageName) -> Option<&ImageRecipe> {
        let tag = image.tag()?;
        self.images
            .iter()
            .find(|recipe| recipe.repository == image.repository() && recipe.tag == tag)
    }

    /// The environments that can stand in for `image` on this kind of machine, nearest first.
    pub(super) fn candidates(&self, image: &ImageRecipe, machine: &str) -> Vec<&EnvironmentRecipe> {
        let found = image
            .environments
            .iter()
            .filter_map(|name| self.environments.get(name));
        found
            .filter(|recipe| {
                recipe.machines.is_empty() || recipe.machines.iter().any(|known| known == machine)
            })
            .collect()
    }

    /// `repository:tag` of every known image, in the order of the file.
    pub(super) fn known(&self) -> Vec<String> {
        self.images.iter().map(ImageRecipe::to_string).collect()
    }

    fn check_image(&self, image: &ImageRecipe) -> Result<(), RecipeError> {
        if self
            .images
            .iter()
            .any(|other| other.to_string() == image.to_string())
        {
            return Err(RecipeError::Twice {
                name: image.to_string(),
            });
        }
        let missing = image
            .environments
            .iter()
            .find(|name| !self.environments.contains_key(name.as_str()));
        match missing {
            Some(name) => Err(RecipeError::NoEnvironment {
                image: image.to_string(),
                environment: name.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl EnvironmentRecipe {
    /// The version of `package` in this environment.
    pub(super) fn version_of(&self, package: &str) -> Option<&str> {
        self.packages
            .iter()
            .find(|pin| pin.name == package)
            .map(|pin| pin.version.as_str())
    }
}

impl fmt::Display for ImageRecipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=={}", self.name, self.version)
    }
}

impl FromStr for Python {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let parsed = text.split_once('.').and_then(|(major, minor)| {
            Some(Self {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| RecipeError::Python {
            text: text.to_owned(),
        })
    }
}

impl FromStr for Pin {
    type Err = RecipeError;

    /// Takes nothing but a plain name and a plain version: the text becomes an argument of the
    /// installer, where an option, an address or a range would mean something else.
    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let wrong = || RecipeError::Pin {
            text: text.to_owned(),
        };
        let (name, version) = text.split_once("==").ok_or_else(wrong)?;
        let name_ok = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let version_ok = version
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.')
            && version.starts_with(|c: char| c.is_ascii_digit());
        if !(name_ok && version_ok) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeFile {
    #[serde(default)]
    image: Vec<ImageForm>,
    #[serde(default)]
    environment: Vec<EnvironmentForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageForm {
    repository: String,
    tag: String,
    python: String,
    packages: Vec<String>,
    environments: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvironmentForm {
    name: String,
    python: String,
    #[serde(default)]
    machines: Vec<String>,
    why: Option<String>,
    packages: Vec<String>,
}

impl TryFrom<ImageForm> for ImageRecipe {
    type Error = RecipeError;

    fn try_from(form: ImageForm) -> Result<Self, RecipeError> {
        let packages: Result<_, _> = form.packages.iter().map(|text| text.parse()).collect();
        Ok(Self {
            repository: form.repository,
            tag: form.tag,
            python: form.python.parse()?,
            packages: packages?,
            environments: form.environments,
            variables: form.variables,
        })
    }
}

impl TryFrom<EnvironmentForm> for EnvironmentRecipe {
    type Error = RecipeError;

    fn try_from(form: EnvironmentForm) -> Result<Self, RecipeError> {
        let name_ok = form
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
            && form.name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !name_ok {
            return Err(RecipeError::Name { name: form.name });
        }
        let packages: Result<_, _> = form.packages.iter().map(|text| text.parse()).collect();
        Ok(Self {
            name: form.name,
            python: form.python.parse()?,
            machines: form.machines,
            why: form.why,
            packages: packages?,
        })
    }
}

#[cfg(test)]
mod tests;
