//! Cuts what an instance prints into lines.

/// CloudWatch Logs takes events of at most 256 KiB, of which 26 bytes are its own.
pub(super) const LINE_BYTES_MAX: usize = 256 * 1024 - 26;

const CUT_MARK: &str = " [sightline] line cut here";

/// Collects bytes and gives whole lines, without their line break.
///
/// Bytes that are not UTF-8 become U+FFFD. Of a line that is too long only the beginning is
/// kept, with a mark, and it is given as soon as it is full: a program that never ends its line
/// must not fill the server's memory.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    held: Vec<u8>,
    skipping: bool,
}

impl LineSplitter {
    /// Takes the next bytes and adds the lines that they complete to `lines`.
    pub(super) fn push(&mut self, mut bytes: &[u8], lines: &mut Vec<String>) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.hold(&bytes[..end], lines);
            if !std::mem::take(&mut self.skipping) {
                lines.push(text(&std::mem::take(&mut self.held)));
            }
            bytes = &bytes[end + 1..];
        }
        self.hold(bytes, lines);
    }

    /// The last line, if it had no line break.
    pub(super) fn finish(&mut self) -> Option<String> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then(|| text(&held))
    }

    fn hold(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        if self.skipping {
            return;
        }
        self.held.extend_from_slice(bytes);
        if LINE_BYTES_MAX < self.held.len() {
            let held = std::mem::take(&mut self.held);
            lines.push(cut(&held));
            self.skipping = true;
        }
    }
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if LINE_BYTES_MAX < text.len() {
        cut(text.as_bytes())
    } else {
        text
    }
}

/// The beginning of a line with the mark, together no longer than a line may be.
fn cut(bytes: &[u8]) -> String {
    let room = LINE_BYTES_MAX - CUT_MARK.len();
    let mut kept = String::from_utf8_lossy(&bytes[..room.min(bytes.len())]).into_owned();
    // Each replaced byte has grown to three, and the last character may have been cut in two.
    kept.truncate(kept.floor_char_boundary(room));
    kept.push_str(CUT_MARK);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece, &mut lines);
        }
        lines.extend(splitter.finish());
        lines
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let text = "one\n\ntwo \u{e9}\r30%\r100%\nlast".as_bytes();
        let expected = ["one", "", "two \u{e9}\r30%\r100%", "last"];
        assert_eq!(lines_of(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines_of(&bytes), expected);
        assert_eq!(lines_of(&[b"a\n"]), ["a"]);
        assert_eq!(lines_of(&[]), Vec::<String>::new());
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        assert_eq!(lines_of(&[b"a\xff\xfeb\n"]), ["a\u{fffd}\u{fffd}b"]);
    }

    #[test]
    fn a_long_line_is_cut_once_with_a_mark_and_the_next_is_whole() {
        let longest = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(
            lines_of(&[longest.as_bytes(), b"\nnext"]),
            [longest.as_str(), "next"]
        );

        let long = "y".repeat(3 * LINE_BYTES_MAX);
        let pieces: Vec<&[u8]> = long
            .as_bytes()
            .chunks(4096)
            .chain([&b"\nnext\n"[..]])
            .collect();
        let got = lines_of(&pieces);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].len(), LINE_BYTES_MAX);
        assert!(
            got[0].ends_with(CUT_MARK),
            "no mark: {}",
            &got[0][got[0].len() - 40..]
        );
        assert_eq!(got[1], "next");
    }

    #[test]
    fn a_line_that_grows_by_replacement_is_cut_too() {
        let got = lines_of(&[&vec![0xff; LINE_BYTES_MAX], b"\n"]);
        assert_eq!(got.len(), 1);
        assert!(got[0].len() <= LINE_BYTES_MAX);
        assert!(got[0].ends_with(CUT_MARK));
    }
}
