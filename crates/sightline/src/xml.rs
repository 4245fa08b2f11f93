//! The few things that the commands read out of XML answers of our own server.

/// The texts of all elements with this name, in order.
pub(crate) fn all(document: &str, element: &str) -> Vec<String> {
    blocks(document, element)
        .into_iter()
        .map(unescaped)
        .collect()
}

/// The text of the first element with this name.
pub(crate) fn first(document: &str, element: &str) -> Option<String> {
    blocks(document, element)
        .first()
        .map(|text| unescaped(text))
}

/// What stands inside each element with this name; elements of one name do not nest.
pub(crate) fn blocks<'d>(document: &'d str, element: &str) -> Vec<&'d str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((inside, after)) = after.split_once(&close) else {
            break;
        };
        found.push(inside);
        rest = after;
    }
    found
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_the_names_of_their_elements() {
        let document = "<A><B>x &lt;&amp;lt; y</B><C/><B>z</B></A>";
        assert_eq!(all(document, "B"), ["x <&lt; y", "z"]);
        assert_eq!(first(document, "B").as_deref(), Some("x <&lt; y"));
        assert_eq!(first(document, "D"), None);
        assert!(blocks("<B>cut", "B").is_empty());
    }
}
