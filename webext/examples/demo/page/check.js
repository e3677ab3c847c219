// SPDX-License-Identifier: MIT
// Plays a visitor who tries everything once, and reports: `run --check` judges the demo by it.
import { tell } from './host.js';

const updatesFirst = 200; // so that rates are those of a page that has settled
const historySeconds = 20;

/** Resolves at the first screen frame at which `condition` holds. */
function until(condition) {
  return new Promise((resolve) => {
    const look = () => (condition() ? resolve() : requestAnimationFrame(look));
    look();
  });
}

export async function check({ telemetry, machine, film, uploads, roads }) {
  const stage = (text) => tell({ type: 'stage', text });
  stage('the first updates and frames');
  await until(() => telemetry.updates >= updatesFirst && film.frames > 0);
  // The film alone, before anything else takes processor time.
  const { updates, sequence } = telemetry;
  const quiet = { updates, sequence, frames: film.frames, at: performance.now() };
  await until(() => performance.now() - quiet.at >= 5000);
  const seconds = (performance.now() - quiet.at) / 1000;
  const report = {
    type: 'report',
    telemetry: {
      updates: telemetry.updates,
      publishesPerSecond: (telemetry.sequence - quiet.sequence) / seconds,
      updatesPerSecond: (telemetry.updates - quiet.updates) / seconds,
      latencyMs: telemetry.recent.mean(),
    },
    film: {
      frames: film.frames,
      framesPerSecond: (film.frames - quiet.frames) / seconds,
      width: film.width,
      height: film.height,
      bytesPerSecond: ((film.frames - quiet.frames) / seconds) * film.frameBytes,
      latencyMs: film.shown.mean(),
      drawMs: film.drawing.mean(),
    },
  };

  stage('100 MiB on two roads');
  report.roads = await roads.measure();
  stage('the checksum of random bytes');
  await uploads.sendRandom();
  stage('the checksum of a file');
  // The viewer clicks the button, and answers the file chooser.
  tell({ type: 'choose-file' });
  await until(() => uploads.results.length >= 2);
  report.uploads = uploads.results;

  stage('charts with history');
  await until(() => machine.seconds >= historySeconds);
  tell(report);
}
