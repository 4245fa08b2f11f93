//! Recipes, the embedded ones and made-up ones.

use super::*;

fn image(tag: &str) -> ImageName {
    format!("sagemaker-scikit-learn:{tag}").parse().unwrap()
}

#[test]
fn the_operators_recipes_come_before_the_embedded_ones() {
    let operators = r#"
        [[image]]
        repository = "sagemaker-scikit-learn"
        tag = "1.2-1-cpu-py3"
        python = "3.11"
        packages = ["numpy==1.26.4"]
        environments = ["ours-py3.11"]

        [[environment]]
        name = "ours-py3.11"
        python = "3.11"
        packages = ["numpy==1.26.4"]
    "#;
    let recipes = Recipes::with_embedded(operators).unwrap();
    let ours = recipes.image(&image("1.2-1-cpu-py3")).unwrap();
    assert_eq!(ours.environments, ["ours-py3.11"]);
    assert!(recipes.image(&image("0.20.0-cpu-py3")).is_some());
    assert!(Recipes::with_embedded("[[image]]").is_err());
}

#[test]
fn the_embedded_recipes_hold_together() {
    let recipes = Recipes::embedded().unwrap();
    let used: BTreeSet<_> = recipes
        .images
        .iter()
        .flat_map(|image| image.environments.iter())
        .collect();
    for recipe in recipes.environments.values() {
        assert!(
            used.contains(&recipe.name),
            "{} is used by no image",
            recipe.name
        );
        let suffix = format!("-py{}", recipe.python);
        assert!(
            recipe.name.ends_with(&suffix),
            "{} is named after its Python",
            recipe.name
        );
        for package in [
            "boto3",
            "joblib",
            "numpy",
            "pandas",
            "pyarrow",
            "scikit-learn",
        ] {
            assert!(
                recipe.version_of(package).is_some(),
                "{} lacks {package}",
                recipe.name
            );
        }
    }
    for image in &recipes.images {
        for machine in ["x86_64", "aarch64"] {
            let pythons: BTreeSet<_> = recipes
                .candidates(image, machine)
                .iter()
                .map(|c| c.python)
                .collect();
            for minor in 9..=14 {
                let python = Python { major: 3, minor };
                assert!(
                    pythons.contains(&python),
                    "{image} on Python {python}, {machine}"
                );
            }
        }
    }
}

#[test]
fn the_nearest_environment_for_each_python_comes_first() {
    let recipes = Recipes::embedded().unwrap();
    let check = |tag: &str, python: &str, machine: &str, expected: &str| {
        let recipe = recipes.image(&image(tag)).unwrap();
        let python: Python = python.parse().unwrap();
        let candidates = recipes.candidates(recipe, machine);
        let first = candidates
            .iter()
            .find(|candidate| candidate.python == python);
        assert_eq!(
            first.unwrap().name,
            expected,
            "{tag} on {python}, {machine}"
        );
    };
    check(
        "0.20.0-cpu-py3",
        "3.7",
        "x86_64",
        "scikit-learn-0.20.0-py3.7",
    );
    check(
        "0.20.0-cpu-py3",
        "3.11",
        "x86_64",
        "scikit-learn-1.4.2-py3.11",
    );
    check(
        "0.20.0-cpu-py3",
        "3.13",
        "aarch64",
        "scikit-learn-1.5.2-py3.13",
    );
    check(
        "0.23-1-cpu-py3",
        "3.8",
        "x86_64",
        "scikit-learn-0.23.2-py3.8",
    );
    check(
        "1.0-1-cpu-py3",
        "3.10",
        "x86_64",
        "scikit-learn-1.0.2-py3.10",
    );
    check("1.0-1-cpu-py3", "3.9", "x86_64", "scikit-learn-1.0.2-py3.9");
    check(
        "1.0-1-cpu-py3",
        "3.9",
        "aarch64",
        "scikit-learn-1.4.2-py3.9",
    );
    check(
        "1.2-1-cpu-py3",
        "3.11",
        "x86_64",
        "scikit-learn-1.2.1-py3.11",
    );
    check(
        "1.2-1-cpu-py3",
        "3.12",
        "x86_64",
        "scikit-learn-1.4.2-py3.12",
    );
    check(
        "1.4-2-cpu-py3",
        "3.12",
        "x86_64",
        "scikit-learn-1.4.2-numpy2-py3.12",
    );
}

#[test]
fn an_image_is_found_by_repository_and_tag_only() {
    let recipes = Recipes::embedded().unwrap();
    assert!(recipes.image(&image("1.2-1-cpu-py3")).is_some());
    assert!(recipes.image(&image("1.2-1-gpu-py3")).is_none());
    assert!(
        recipes
            .image(&"other:1.2-1-cpu-py3".parse().unwrap())
            .is_none()
    );
    assert!(
        recipes
            .image(&"sagemaker-scikit-learn".parse().unwrap())
            .is_none()
    );
}

#[test]
fn contradictions_are_refused() {
    let check = |text: &str, expected: &str| {
        let error = Recipes::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    let environment = |name: &str, python: &str, package: &str| {
        format!("[[environment]]\nname='{name}'\npython='{python}'\npackages=['{package}']\n")
    };
    let image = "[[image]]\nrepository='r'\ntag='t'\npython='3.9'\npackages=[]\n";
    let good = environment("e", "3.9", "a==1");
    check(&environment("e", "3.9", "a"), "name==version");
    check(&environment("e", "3.9", "--index-url==1"), "name==version");
    check(&environment("e", "3.9", "a==1 --pre"), "name==version");
    check(&environment("e", "3.9", "a==1.*"), "name==version");
    check(&environment("e", "three", "a==1"), "Python version");
    check(&environment("../e", "3.9", "a==1"), "environment name");
    check(&format!("{good}{good}"), "e is described twice");
    check(
        &format!("{good}{image}environments=['f']"),
        "names the environment f",
    );
    let twice = format!("{image}environments=[]\n{image}environments=[]");
    check(&twice, "r:t is described twice");
    check("[[image]]\nrepository='r'", "cannot be read");
    check(&format!("{good}surprise=1"), "cannot be read");
}
