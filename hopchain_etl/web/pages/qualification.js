// What the desk says of practice that is needed and of a pause, in words: pairs of a title and a text.

import { count, day } from "./common.js";

const START = "You will see photos with one question each, and answer with one number. Others answer the same question "
  + "without seeing yours. A short practice round shows how it works; ";

/** What a person reads first; `state` is null if no practice is needed. */
export const beforeStart = (state) => START + (state
  ? `you get real questions when ${state.needed} of its ${state.of} answers are right. The first answer to each counts.`
  : "it does not count.");

/** Why there are no real questions yet. */
export function notYet({ needed, of, right, answered, last, over }) {
  if (over) {
    return ["Talk to your lead", "You have been through all practice rounds, and none had enough right answers. "
      + "Your lead can help you, and let you start."];
  }
  if (answered) {
    return ["Practise first", `So far ${count(right)} of ${count(answered)} answers are right; you need ${needed} of ${of}. `
      + "Real questions come when you have finished this round."];
  }
  if (last !== null) {
    return ["Not enough yet", `${count(last)} of ${of} answers were right; you need ${needed}. Read the guidelines, then `
      + "practise again: there are new pictures."];
  }
  return ["Practise first", `You get real questions when ${needed} of ${of} practice answers are right.`];
}

/** Why a person gets no new question for now. */
export const pausedWords = ({ right, of, least, at }) => ["You are paused", `Some questions have an answer that is known `
  + `before. Of the last ${of} that you answered, ${right} were right; at least ${Math.ceil(least * of)} are needed. So you `
  + `get no new questions since ${day(at)}. Your answers are kept; your lead looks at them. Talk to your lead, who can let you `
  + "go on. Meanwhile read the guidelines and practise again."];
