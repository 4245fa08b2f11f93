//! What an instance type grants: processors and memory, as AWS publishes them per family.

use sightline_ports::Limits;

const GIB: u64 = 1024 * 1024 * 1024;

/// Largest file that a program may write.
const FILE_BYTES_MAX: u64 = 64 * GIB;

/// The bounds of an instance of this type; an unknown type is taken for `ml.m5.xlarge`.
///
/// Sources: the instance tables of Amazon EC2. Sizes double from `large` (2 processors) on; the
/// family gives the memory for each processor: compute 2 GiB, general 4 GiB, memory 8 GiB.
pub(crate) fn of_instance_type(instance_type: &str) -> Limits {
    let mut parts = instance_type.split('.').skip(1);
    let family = parts.next().unwrap_or("m5");
    let size = parts.next().unwrap_or("xlarge");
    let processors = processors_of(size).unwrap_or(4);
    let memory_gib_each = match family.chars().next() {
        Some('c') => 2,
        Some('r' | 'x') => 8,
        Some(_) | None => 4,
    };
    Limits {
        memory_bytes: u64::from(processors) * memory_gib_each * GIB,
        cpu_milli: processors * 1_000,
        processes: 4_096,
        open_files: 65_536,
        file_bytes: FILE_BYTES_MAX,
    }
}

fn processors_of(size: &str) -> Option<u32> {
    match size {
        "medium" => Some(1),
        "large" => Some(2),
        "xlarge" => Some(4),
        _ => size
            .strip_suffix("xlarge")?
            .parse::<u32>()
            .ok()
            .map(|n| n.clamp(1, 64) * 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_families_give_processors_and_memory() {
        let cases = [
            ("ml.m5.xlarge", 4, 16),
            ("ml.m5.large", 2, 8),
            ("ml.c5.2xlarge", 8, 16),
            ("ml.r5.4xlarge", 16, 128),
            ("ml.t3.medium", 1, 4),
            ("ml.m5.24xlarge", 96, 384),
            ("nonsense", 4, 16),
        ];
        for (name, processors, gib) in cases {
            let limits = of_instance_type(name);
            assert_eq!(
                (limits.cpu_milli, limits.memory_bytes),
                (processors * 1_000, gib * GIB),
                "{name}"
            );
        }
    }
}
