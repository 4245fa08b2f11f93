//! Runs one of the programs that make environments, within limits, and tells what it says.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::Duration;

use sightline_ports::Clock;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;

/// The end of the output names the reason; more would not fit a status message.
const LINES_KEPT: usize = 12;

/// Far more than any of the programs prints; one that floods is cut off.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("{program} cannot be started: {source}")]
    Start {
        program: String,
        source: std::io::Error,
    },
    #[error("{program} was stopped after {} seconds", after.as_secs())]
    TooLong { program: String, after: Duration },
    #[error("{program} ended with {status}{}", quoted(last_lines))]
    Status {
        program: String,
        status: std::process::ExitStatus,
        last_lines: Vec<String>,
    },
}

/// Runs `command` to its end, handing on each line of its error output, and gives what it printed.
///
/// The program sees no more of the server than the variables set in `command`. It is killed when
/// `timeout` has passed, and when the caller gives up waiting.
pub(super) async fn run(
    mut command: Command,
    timeout: Duration,
    clock: &dyn Clock,
    said: &(dyn Fn(&str) + Send + Sync),
) -> Result<String, Failed> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let start = |source| Failed::Start {
        program: program.clone(),
        source,
    };
    let mut child = command.spawn().map_err(start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (printed, last_lines) = tokio::join!(read_all(stdout), read_lines(stderr, said));
        (child.wait().await, printed, last_lines)
    };
    let (status, printed, last_lines) = tokio::select! {
        done = work => done,
        () = clock.sleep(timeout) => {
            return Err(Failed::TooLong { program, after: timeout });
        }
    };
    let status = status.map_err(start)?;
    if !status.success() {
        return Err(Failed::Status {
            program,
            status,
            last_lines,
        });
    }
    Ok(printed)
}

async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // A read error is the end of the output; what went wrong shows in the exit status.
        let _ = stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn read_lines(
    stream: Option<impl AsyncRead + Unpin>,
    said: &(dyn Fn(&str) + Send + Sync),
) -> Vec<String> {
    let mut kept = VecDeque::new();
    let Some(stream) = stream else {
        return Vec::new();
    };
    let mut lines = BufReader::new(stream.take(OUTPUT_BYTES_MAX)).split(b'\n');
    while let Ok(Some(bytes)) = lines.next_segment().await {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        said(&text);
        if kept.len() == LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(text);
    }
    kept.into()
}

fn quoted(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!(": {}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sightline_ports::SystemClock;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env_clear();
        command
    }

    #[tokio::test]
    async fn lines_are_handed_on_and_the_last_ones_explain_a_failure() {
        let heard = Mutex::new(Vec::new());
        let said = |line: &str| heard.lock().unwrap().push(line.to_owned());
        let script =
            "echo out; for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo $n >&2; done; exit 3";
        let error = run(shell(script), Duration::from_secs(60), &SystemClock, &said)
            .await
            .unwrap_err();
        assert_eq!(heard.lock().unwrap().len(), 13);
        let text = error.to_string();
        assert!(text.contains("exit status: 3: 2\n3\n"), "{text}");
        let printed = run(
            shell("echo out"),
            Duration::from_secs(60),
            &SystemClock,
            &said,
        )
        .await;
        assert_eq!(printed.unwrap(), "out\n");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_stopped() {
        let limit = Duration::from_millis(50);
        let error = run(shell("exec sleep 600"), limit, &SystemClock, &|_| ())
            .await
            .unwrap_err();
        assert!(matches!(error, Failed::TooLong { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let command = Command::new("/nonexistent/uv");
        let limit = Duration::from_secs(60);
        let error = run(command, limit, &SystemClock, &|_| ())
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nonexistent/uv cannot be started"),
            "{error}"
        );
    }
}
