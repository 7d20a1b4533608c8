//! Releases of real charts pass from hand to hand, by a table of sequences.

use futures::{StreamExt as _, stream};

use super::world::{Place, Player, World};
use super::{all_wanted, differing, without_us};
use crate::support::control_plane::ControlPlane;
use crate::support::corpus::{Corpus, corpus};
use crate::support::leadsman::Leadsman;
use crate::support::wait::SOON;

/// Sequences that are played at the same time.
const AT_ONCE: usize = 2;
/// The simulated cluster and the real API server each play one sequence of so many, at least half of
/// the charts: all of them take too long for every day. `LEADSMAN_SEQUENCES=all` plays them.
const SIMULATED: usize = 4;
const REAL: usize = 8;

/// A line of the table: `REPOSITORY A B MIX: STEP; STEP`. In a step `A` and `B` are packages, `R` is
/// the release; `MIX` says who takes it.
struct Sequence<'a> {
    line: &'a str,
    packages: [String; 2],
    mix: &'a str,
    steps: Vec<&'a str>,
}

impl<'a> Sequence<'a> {
    fn parse(corpus: &Corpus, line: &'a str) -> Self {
        let (head, steps) = line.split_once(": ").unwrap();
        let [repository, a, b, mix] = head.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let package = |name| corpus.package(repository, name).display().to_string();
        Self { line, packages: [a, b].map(package), mix, steps: steps.split("; ").collect() }
    }

    /// Takes the steps; returns what was seen after each.
    async fn play(&self, world: &World, mix: &str) -> Result<Vec<Vec<String>>, String> {
        let namespace = world.api.create_namespace("seq").await;
        // Some objects have no namespace: their names must differ from those of other plays.
        let release = format!("rel-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let mut place = Place::new(&release, &namespace);
        let mut seen = Vec::new();
        for (index, (step, who)) in self.steps.iter().zip(mix.chars()).enumerate() {
            let failed = |error: String| format!("{} by {mix}, after `{step}`: {error}", self.line);
            let words = step.split(' ').map(|word| match word {
                "A" => &self.packages[0],
                "B" => &self.packages[1],
                "R" => &release,
                word => word,
            });
            let command = words.collect::<Vec<_>>().join(" ");
            world.run(Player::of(who), &command, &namespace).await.map_err(failed)?;
            let asked: &[Player] = match (index + 1 == self.steps.len(), mix.contains('L')) {
                (true, true) => &[Player::Helm, Player::Leadsman, Player::Three],
                (true, false) => &[Player::Helm],
                (false, _) => &[],
            };
            seen.push(world.seen(&mut place, asked).await.map_err(failed)?);
        }
        // What is left would be scheduled, again and again.
        let _ = world.run(Player::Leadsman, &format!("uninstall {release}"), &namespace).await;
        Ok(seen)
    }

    /// Tells where what Leadsman leaves is not what Helm leaves in its place.
    async fn check(&self, world: &World) -> Option<String> {
        let helm = without_us(self.mix);
        // One after another: both install the same definitions.
        match (self.play(world, self.mix).await, self.play(world, &helm).await) {
            (Ok(seen), Ok(helm)) => differing(self.line, &self.steps, (&seen, &helm)),
            (seen, helm) => {
                let said = [seen, helm].map(|play| play.err().unwrap_or_default());
                Some(said.join("\n"))
            }
        }
    }
}

async fn check(world: &World, corpus: &Corpus, every: usize) {
    let every = if all_wanted() { 1 } else { every };
    let table = include_str!("sequences.txt").lines().filter(|line| !line.starts_with('#'));
    let sequences: Vec<_> =
        table.step_by(every).map(|line| Sequence::parse(corpus, line)).collect();
    let checks = sequences.iter().map(|sequence| sequence.check(world));
    let failures: Vec<_> = stream::iter(checks).buffer_unordered(AT_ONCE).collect().await;
    let failures: Vec<String> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn real_charts_pass_from_hand_to_hand_in_the_simulated_cluster() {
    let Some(corpus) = corpus() else { return };
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let Some(world) = World::on(&server.folder().join("kubeconfig")).await else { return };
    check(&world, &corpus, SIMULATED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_charts_pass_from_hand_to_hand_on_a_real_api_server() {
    let (Some(corpus), Some(cluster)) = (corpus(), ControlPlane::shared()) else { return };
    let Some(world) = World::on(&cluster.kubeconfig()).await else { return };
    check(&world, &corpus, REAL).await;
}
