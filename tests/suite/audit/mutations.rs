//! Whatever is done to an export is found, and where; and another verifier, in another language, says the same.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use super::{export, organization, proven, verifier};
use crate::support::{Engine, TestServer, chance::Chance};

/// How many mutations; `ROSTER_MUTATIONS` says otherwise.
const MUTATIONS: usize = 2_000;

/// The verifier in Python, in a process of its own.
struct Other {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Other {
    fn start(key: &str) -> Self {
        let root = crate::support::root();
        let built = Command::new(root.join("dev/consumers")).arg("python").stderr(Stdio::inherit()).output().unwrap();
        assert!(built.status.success(), "dev/consumers brings Python and its packages");
        let python = String::from_utf8(built.stdout).unwrap();
        let mut child = Command::new(python.trim())
            .arg(root.join("tests/suite/audit/verifier.py"))
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    /// The first bad line; nothing where the export is proven.
    fn verify(&mut self, file: &[u8]) -> Option<usize> {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{}", file.len()).unwrap();
        input.write_all(file).unwrap();
        input.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        match answer.trim() {
            "null" => None,
            line => Some(line.parse().unwrap_or_else(|_| panic!("the verifier in Python ended: {answer:?}"))),
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutation_of_an_export_is_found_where_it_is() {
    let server = TestServer::start(Engine::Sqlite).await;
    let (id, _) = organization(&server, "acme").await;
    let key = verifier(&server.root, &id).await;
    let whole = export(&server.root, serde_json::json!({"streamId": id})).await;
    let count = std::env::var("ROSTER_MUTATIONS").map_or(MUTATIONS, |count| count.parse().unwrap());
    tokio::task::spawn_blocking(move || {
        let mut other = Other::start(&key.to_string());
        assert!(proven(&whole, &key).is_ok());
        assert_eq!(other.verify(&whole), None);
        let mut chance = Chance(7);
        for number in 0..count {
            let (what, mutated) = mutate(&whole, &mut chance);
            let Some(expected) = first_difference(&whole, &mutated) else { continue };
            let named = proven(&mutated, &key).expect_err(&format!("{number}: {what} goes unseen")).line;
            let also = other.verify(&mutated);
            assert!(also.is_some(), "{number}: {what} goes unseen in Python");
            assert_eq!((named, also), (expected, Some(expected)), "{number}: {what}");
        }
    })
    .await
    .unwrap();
    server.stop().await;
}

fn lines(file: &[u8]) -> Vec<&[u8]> {
    file.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The first line, from 1, that is not the same.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let (one, other) = (lines(one), lines(other));
    let longer = one.len().max(other.len());
    (0..longer).find(|index| one.get(*index) != other.get(*index)).map(|index| index + 1)
}

fn below(chance: &mut Chance, limit: usize) -> usize {
    usize::try_from(chance.below(limit as u64)).unwrap()
}

fn mutate(whole: &[u8], chance: &mut Chance) -> (&'static str, Vec<u8>) {
    let mut kept: Vec<_> = lines(whole).into_iter().map(<[u8]>::to_vec).collect();
    let (one, other) = (below(chance, kept.len()), below(chance, kept.len()));
    match below(chance, 6) {
        0 => {
            let mut file = whole.to_vec();
            let at = below(chance, file.len());
            file[at] ^= 1 << below(chance, 8);
            return ("a flipped bit", file);
        }
        1 => {
            let mut file = whole.to_vec();
            let at = below(chance, file.len());
            file[at] = u8::try_from(below(chance, 256)).unwrap();
            return ("another byte", file);
        }
        2 => {
            kept.remove(one);
            return ("a dropped line", kept.concat());
        }
        3 => {
            kept.swap(one, other);
            return ("two lines swapped", kept.concat());
        }
        4 => {
            kept.insert(one, kept[other].clone());
            return ("a line put in", kept.concat());
        }
        _ => {}
    }
    ("cut off", whole[..below(chance, whole.len())].to_vec())
}
