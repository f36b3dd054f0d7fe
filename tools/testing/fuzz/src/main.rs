// SPDX-License-Identifier: GPL-2.0

//! A coverage-guided fuzzer of the driver. It runs in the VM, as root, beside the test importer.
//!
//!     fuzz                  from FUZZ_CORPUS, for FUZZ_SECONDS; prints KTAP
//!     fuzz replay FILE...   runs programs, and nothing else
//!     fuzz show FILE...     prints programs as text

mod buffer;
mod coverage;
mod create;
mod device;
mod execute;
mod host;
mod memory;
mod model;
mod mutators;
mod program;
mod shared;
mod sys;
mod system;
mod uapi;
mod world;
mod zygote;

use coverage::{Coverage, BLOCKS};
use host::{Host, Record};
use libafl::{
    corpus::{Corpus, InMemoryCorpus},
    events::SimpleEventManager,
    executors::{Executor, ExitKind, WithObservers},
    feedbacks::{CrashFeedback, MaxMapFeedback},
    inputs::{BytesInput, HasMutatorBytes},
    monitors::NopMonitor,
    mutators::{havoc_mutations, StdScheduledMutator},
    observers::{CanTrack, HitcountsMapObserver, StdMapObserver},
    schedulers::{IndexesLenTimeMinimizerScheduler, QueueScheduler},
    stages::StdMutationalStage,
    state::{HasCorpus, HasMaxSize, StdState},
    Error, Evaluator, Fuzzer, StdFuzzer,
};
use libafl_bolts::{
    rands::StdRand,
    tuples::{tuple_list, Merge},
};
use program::{MAX_OPS, OP_SIZE};
use shared::Shared;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    env, fs,
    num::NonZeroUsize,
    process::ExitCode,
    rc::Rc,
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};
use zygote::{Ending, Zygote};

/// Pages that programs break in a run: each is lost to the VM.
const POISON: u32 = 100;
/// Mutations of a program of the corpus before the next one's turn.
const MUTATIONS: usize = 48;

/// Runs programs, and has the host know which one.
struct Runner {
    shared: &'static Shared,
    zygote: Zygote,
    host: Host,
    coverage: Coverage,
    executions: u64,
    late: u64,
    wrong: Option<String>,
}

impl Runner {
    fn new() -> Result<Self, String> {
        let shared = Shared::new();
        // Forked before there is much to copy.
        let zygote = Zygote::new(shared);

        shared.poison.store(POISON, SeqCst);
        Ok(Self {
            shared,
            zygote,
            host: Host::new(),
            coverage: Coverage::new()?,
            executions: 0,
            late: 0,
            wrong: None,
        })
    }

    fn run(&mut self, input: &[u8]) -> Ending {
        self.host.begins(input);
        self.executions += 1;
        let ending = self
            .zygote
            .run(input, self.executions % zygote::COUNT_PINS == 0);

        if ending == Ending::Wrong {
            self.wrong = self.shared.told();
            self.host.add(Record::Wrong, input);
            return ending;
        }
        self.host.ended();
        if ending == Ending::Late {
            self.late += 1;
            // Nothing it reached makes it part of the corpus.
            self.coverage.clear();
        }
        ending
    }
}

/// The runner, as LibAFL wants it.
struct Target(Rc<RefCell<Runner>>);

impl<EM, S, Z> Executor<EM, BytesInput, S, Z> for Target {
    fn run_target(
        &mut self,
        _: &mut Z,
        _: &mut S,
        _: &mut EM,
        input: &BytesInput,
    ) -> Result<ExitKind, Error> {
        match self.0.borrow_mut().run(input.mutator_bytes()) {
            Ending::Fine => Ok(ExitKind::Ok),
            Ending::Late => Ok(ExitKind::Timeout),
            // What is wrong may stay wrong: nothing that follows would be of use.
            Ending::Wrong => Err(Error::shutting_down()),
        }
    }
}

fn files(folder: &str) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_none())
        .collect();

    names.sort();
    names
        .iter()
        .filter_map(|name| fs::read(name).ok())
        .collect()
}

/// Returns programs that together reach as many blocks as all do: each the one that adds most to
/// the ones before.
fn minimise(runner: &mut Runner, inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut candidates: Vec<(Vec<u8>, BTreeSet<u16>)> = Vec::new();

    for input in inputs {
        runner.coverage.clear();
        if runner.run(&input) == Ending::Fine {
            candidates.push((input, runner.coverage.reached().into_iter().collect()));
        }
        if runner.wrong.is_some() {
            return Vec::new();
        }
    }
    let mut kept = Vec::new();
    while let Some(best) = (0..candidates.len())
        .filter(|&at| !candidates[at].1.is_empty())
        .max_by_key(|&at| (candidates[at].1.len(), usize::MAX - candidates[at].0.len()))
    {
        let (input, reached) = candidates.swap_remove(best);

        for (_, left) in &mut candidates {
            left.retain(|block| !reached.contains(block));
        }
        kept.push(input);
    }
    kept
}

fn test(number: u32, passed: bool, name: &str) -> bool {
    println!(
        "{} {number} fuzz.{name}",
        if passed { "ok" } else { "not ok" }
    );
    passed
}

fn fuzz(seconds: u64, corpus: &str) -> Result<bool, String> {
    let runner = Rc::new(RefCell::new(Runner::new()?));
    let coverage = runner.borrow().coverage;
    let inputs = files(corpus);

    println!("TAP version 13\n1..3");
    // SAFETY: `BLOCKS` bytes are mapped there for as long as the process lives, and are read
    // between executions.
    let observer = unsafe { StdMapObserver::from_mut_ptr("blocks", coverage.counters(), BLOCKS) };
    let observer = HitcountsMapObserver::new(observer).track_indices();
    let mut feedback = MaxMapFeedback::new(&observer);
    let mut objective = CrashFeedback::new();
    let seed = env::var("FUZZ_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(libafl_bolts::current_nanos);
    let fail = |error: Error| format!("LibAFL: {error}");
    let mut state = StdState::new(
        StdRand::with_seed(seed),
        InMemoryCorpus::<BytesInput>::new(),
        InMemoryCorpus::new(),
        &mut feedback,
        &mut objective,
    )
    .map_err(fail)?;
    let scheduler = IndexesLenTimeMinimizerScheduler::new(&observer, QueueScheduler::new());
    let mut fuzzer = StdFuzzer::new(scheduler, feedback, objective);
    let mut manager = SimpleEventManager::new(NopMonitor::new());
    let mut executor = WithObservers::new(Target(runner.clone()), tuple_list!(observer));
    let mutator = StdScheduledMutator::new(
        mutators::all()
            .merge(mutators::all())
            .merge(havoc_mutations()),
    );
    let mut stages = tuple_list!(StdMutationalStage::with_max_iterations(
        mutator,
        NonZeroUsize::new(MUTATIONS).expect("a constant")
    ));
    let wrong = || runner.borrow().wrong.clone();
    let started = Instant::now();

    state.set_max_size(MAX_OPS * OP_SIZE);
    println!("# seed {seed}");
    for input in inputs.iter().cloned() {
        if fuzzer
            .evaluate_input(
                &mut state,
                &mut executor,
                &mut manager,
                &BytesInput::new(input),
            )
            .is_err()
        {
            break;
        }
    }
    let of_corpus = coverage.blocks();
    println!(
        "# {} programs of the corpus reach {of_corpus} blocks in {:.1} s",
        inputs.len(),
        started.elapsed().as_secs_f32()
    );
    if let Some(wrong) = wrong() {
        println!("# {wrong}");
    }
    let mut passed = test(1, wrong().is_none(), "corpus_replays_clean");

    // Something to begin with, where there is no corpus.
    if state.corpus().count() == 0 && wrong().is_none() {
        fuzzer
            .add_input(
                &mut state,
                &mut executor,
                &mut manager,
                BytesInput::new(vec![0; OP_SIZE]),
            )
            .map_err(fail)?;
    }
    let mut known = state.corpus().count();
    let mut told = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) && wrong().is_none() {
        if let Err(error) = fuzzer.fuzz_one(&mut stages, &mut executor, &mut state, &mut manager) {
            if wrong().is_none() {
                return Err(fail(error));
            }
        }
        for id in state.corpus().ids().skip(known).collect::<Vec<_>>() {
            if let Ok(input) = state.corpus().cloned_input_for_id(id) {
                runner
                    .borrow_mut()
                    .host
                    .add(Record::Found, input.mutator_bytes());
            }
        }
        known = state.corpus().count();
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!(
                "# {} s: {} executions, {known} programs, {} blocks",
                started.elapsed().as_secs(),
                runner.borrow().executions,
                coverage.blocks()
            );
        }
    }
    let elapsed = started.elapsed().as_secs_f64();
    let (executions, late) = (runner.borrow().executions, runner.borrow().late);
    println!(
        "# executions {executions} rate {:.1} late {late} checks {} blocks {}",
        executions as f64 / elapsed,
        runner.borrow().shared.checks.load(SeqCst),
        coverage.blocks()
    );
    print!("{}", runner.borrow().shared.counted());
    if let Some(wrong) = wrong() {
        println!("# {wrong}");
    }
    // A run without checks would prove little.
    passed &= test(2, wrong().is_none() && executions > 0, "nothing_goes_wrong");

    let mut runner = runner.borrow_mut();
    if runner.wrong.is_none() {
        let all: Vec<Vec<u8>> = state
            .corpus()
            .ids()
            .filter_map(|id| state.corpus().cloned_input_for_id(id).ok().map(Vec::from))
            .collect();
        let kept = minimise(&mut runner, all);
        // Until pins are counted for the last time.
        while runner.wrong.is_none() && runner.executions % zygote::COUNT_PINS != 0 {
            runner.run(&[]);
        }

        println!("# {} programs kept of {known}", kept.len());
        for input in &kept {
            runner.host.add(Record::Kept, input);
        }
    }
    let text = coverage.text();
    if let Some(wrong) = &runner.wrong {
        println!("# {wrong}");
    }
    let nothing_left = runner.wrong.is_none();
    passed &= test(
        3,
        nothing_left && runner.host.add(Record::Reached, text.as_bytes()) && !text.is_empty(),
        "corpus_is_minimised",
    );
    Ok(passed)
}

fn replay(names: &[String]) -> Result<bool, String> {
    let mut runner = Runner::new()?;
    let mut passed = true;

    println!("TAP version 13\n1..{}", names.len());
    for (at, name) in names.iter().enumerate() {
        let input = fs::read(name).map_err(|error| format!("{name}: {error}"))?;

        print!(
            "{}",
            program::show(&input)
                .lines()
                .map(|line| format!("# {line}\n"))
                .collect::<String>()
        );
        // Races need more than one attempt.
        let started = Instant::now();
        let fine = (0..zygote::COUNT_PINS).all(|_| runner.run(&input) != Ending::Wrong);
        if let Some(wrong) = &runner.wrong {
            println!("# {wrong}");
        }
        println!(
            "# {} executions in {:.1} s, {} late",
            runner.executions,
            started.elapsed().as_secs_f32(),
            runner.late
        );
        print!("{}", runner.shared.counted());
        passed &= test(at as u32 + 1, fine, "replay");
    }
    Ok(passed)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("replay") => replay(&arguments[1..]),
        Some("show") => arguments[1..]
            .iter()
            .try_for_each(|name| {
                let input = fs::read(name).map_err(|error| format!("{name}: {error}"))?;

                print!("{}", program::show(&input));
                Ok(())
            })
            .map(|()| true),
        Some(other) => Err(format!(
            "{other}: not known; replay FILE..., show FILE... or nothing"
        )),
        None => {
            let seconds = env::var("FUZZ_SECONDS")
                .ok()
                .and_then(|text| text.parse().ok())
                .unwrap_or(30);

            fuzz(
                seconds,
                &env::var("FUZZ_CORPUS").unwrap_or_else(|_| "/check/corpus".into()),
            )
        }
    };

    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => {
            eprintln!("fuzz: {sentence}");
            ExitCode::from(2)
        }
    }
}
