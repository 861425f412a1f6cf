//! The printed table and the JSON file.

use std::fmt::Write;

/// One kernel at one dimension, in nanoseconds.
pub struct Measurement {
    pub kernel: String,
    pub dim: usize,
    /// By table, the fastest instruction set first.
    pub tables: Vec<(&'static str, f64)>,
    pub naive: Option<f64>,
    pub simsimd: Option<f64>,
}

/// Prints measurements as they come and keeps them for the file.
pub struct Report {
    filter: Option<String>,
    json: Option<String>,
    measurements: Vec<Measurement>,
}

impl Report {
    pub fn from_arguments() -> Self {
        // Cargo adds `--bench`.
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        let (mut filter, mut json) = (None, None);
        while let Some(argument) = arguments.next() {
            if argument == "--json" {
                json = Some(arguments.next().expect("--json FILE"));
            } else {
                filter = Some(argument);
            }
        }
        println!("nanoseconds per distance, least of {} rounds", crate::ROUNDS);
        print!("{:<22}{:>6}", "kernel", "dim");
        for table in omen_kernels::tables() {
            print!("{:>10}", table.name);
        }
        println!("{:>10}{:>10}{:>10}{:>10}", "naive", "simsimd", "naive/", "simsimd/");
        Self { filter, json, measurements: Vec::new() }
    }

    /// False for kernels that the filter leaves out.
    pub fn wants(&self, kernel: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| kernel.contains(filter.as_str()))
    }

    pub fn add(&mut self, measurement: Measurement) {
        let Measurement { kernel, dim, tables, naive, simsimd } = &measurement;
        print!("{kernel:<22}{dim:>6}");
        let columns = omen_kernels::tables().len();
        for i in 0..columns {
            match tables.get(i) {
                Some((_, time)) => print!("{time:>10.1}"),
                None => print!("{:>10}", "-"),
            }
        }
        let best = tables.first().map_or(f64::NAN, |(_, time)| *time);
        let others = [*naive, *simsimd];
        for time in others {
            print!("{:>10}", time.map_or("-".into(), |time| format!("{time:.1}")));
        }
        for time in others {
            print!("{:>10}", time.map_or("-".into(), |time| format!("{:.2}x", time / best)));
        }
        println!();
        self.measurements.push(measurement);
    }

    pub fn finish(self) {
        let Some(path) = self.json else { return };
        let rows: Vec<String> = self.measurements.iter().map(json).collect();
        let text = format!("[\n  {}\n]\n", rows.join(",\n  "));
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// Names hold nothing that JSON would escape.
fn json(measurement: &Measurement) -> String {
    let Measurement { kernel, dim, tables, naive, simsimd } = measurement;
    let mut text = format!("{{\"kernel\": \"{kernel}\", \"dim\": {dim}");
    let times = tables.iter().map(|(name, time)| (*name, Some(*time)));
    for (name, time) in times.chain([("naive", *naive), ("simsimd", *simsimd)]) {
        if let Some(time) = time {
            write!(text, ", \"{name}\": {time:.2}").expect("writing to a string");
        }
    }
    text + "}"
}
