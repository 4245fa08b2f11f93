//! Says in which ways an environment is not what an image's name promises.

use super::interpreter::Interpreter;
use super::recipe::{EnvironmentRecipe, ImageRecipe};

/// One sentence for each difference; none when every promise is kept.
pub(super) fn sentences(
    image: &ImageRecipe,
    environment: &EnvironmentRecipe,
    interpreter: &Interpreter,
) -> Vec<String> {
    let mut said = Vec::new();
    let (main, others) = match image.packages.split_first() {
        Some((main, others)) => (Some(main), others),
        None => (None, image.packages.as_slice()),
    };
    let python_kept = image.python == environment.python;
    match main {
        Some(pin) => {
            let has = environment.version_of(&pin.name);
            let kept = has == Some(pin.version.as_str());
            if !(kept && python_kept) {
                let why = match (&environment.why, kept) {
                    (Some(why), false) => format!(", {why}"),
                    (Some(_) | None, _) => String::new(),
                };
                said.push(format!(
                    "image {image} promises {} {} on Python {}; this environment has {} on Python {}{why}",
                    pin.name,
                    pin.version,
                    image.python,
                    presence(&pin.name, has),
                    interpreter.version,
                ));
            }
        }
        None if !python_kept => said.push(format!(
            "image {image} promises Python {}; this environment has Python {}",
            image.python, interpreter.version,
        )),
        None => {}
    }
    for pin in others {
        let has = environment.version_of(&pin.name);
        if has != Some(pin.version.as_str()) {
            let presence = presence(&pin.name, has);
            said.push(format!(
                "it has {presence} instead of the promised {}",
                pin.version
            ));
        }
    }
    said
}

fn presence(name: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{name} {version}"),
        None => format!("no {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Recipes;
    use super::*;

    fn check(tag: &str, environment: &str, version: &str, expected: &[&str]) {
        let recipes = Recipes::embedded().unwrap();
        let name = format!("sagemaker-scikit-learn:{tag}").parse().unwrap();
        let image = recipes.image(&name).unwrap();
        let candidates = recipes.candidates(image, "x86_64");
        let environment = candidates
            .iter()
            .find(|one| one.name == environment)
            .unwrap();
        let interpreter = Interpreter::for_tests("/usr/bin/python3", version);
        assert_eq!(
            sentences(image, environment, &interpreter),
            expected,
            "{tag}"
        );
    }

    #[test]
    fn every_difference_is_said_and_nothing_else() {
        check("1.2-1-cpu-py3", "scikit-learn-1.2.1-py3.9", "3.9.18", &[]);
        check(
            "1.2-1-cpu-py3",
            "scikit-learn-1.2.1-py3.11",
            "3.11.2",
            &[
                "image sagemaker-scikit-learn:1.2-1-cpu-py3 promises scikit-learn 1.2.1 on Python 3.9; \
                 this environment has scikit-learn 1.2.1 on Python 3.11.2",
                "it has scipy 1.9.3 instead of the promised 1.8.0",
                "it has pandas 1.5.3 instead of the promised 1.1.3",
            ],
        );
        check(
            "0.20.0-cpu-py3",
            "scikit-learn-1.4.2-py3.11",
            "3.11.2",
            &[
                "image sagemaker-scikit-learn:0.20.0-cpu-py3 promises scikit-learn 0.20.0 on Python 3.7; \
                 this environment has scikit-learn 1.4.2 on Python 3.11.2, the oldest scikit-learn \
                 with wheels for this Python whose linear and tree models current releases still load",
                "it has numpy 1.23.5 instead of the promised 1.19.5",
                "it has pandas 1.5.3 instead of the promised 0.25.3",
                "it has pyarrow 14.0.1 instead of the promised 0.14.1",
            ],
        );
    }
}
