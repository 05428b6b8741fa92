// What the desk says of practice that is needed and of a pause, in words: pairs of a title and a text.

import { count, day } from "../shared/common.js";
import { t } from "../shared/i18n.js";

/** What a person reads first; `state` is null if no practice is needed. */
export const beforeStart = (state) => [
  t("You will see photos with one question each, and answer with one number. Others answer the same question without seeing yours."),
  state ? t("A short practice round shows how it works; you get real questions when {needed} of its {of} answers are right. The first answer to each counts.", state)
    : t("A short practice round shows how it works; it does not count."),
].join(" ");

/** Why there are no real questions yet. */
export function notYet(state) {
  const { right, answered, last, over } = state;
  if (over) {
    return [t("Talk to your lead"), t("You have been through all practice rounds, and none had enough right answers. Your lead can help you, and let you start.")];
  }
  if (answered) {
    return [t("Practise first"), t("So far {right} of {answered} answers are right; you need {needed} of {of}. Real questions come when you have finished this round.",
      { ...state, right: count(right), answered: count(answered) })];
  }
  if (last !== null) {
    return [t("Not enough yet"), t("{last} of {of} answers were right; you need {needed}. Read the guidelines, then practise again: there are new pictures.", state)];
  }
  return [t("Practise first"), t("You get real questions when {needed} of {of} practice answers are right.", state)];
}

/** Why a person gets no new question for now. */
export const pausedWords = ({ right, of, least, at }) => [t("You are paused"),
  t("Some questions have an answer that is known before. Of the last {of} that you answered, {right} were right; at least {least} are needed. So you get no new questions since {day}. "
    + "Your answers are kept; your lead looks at them. Talk to your lead, who can let you go on. Meanwhile read the guidelines and practise again.",
  { of, right, least: Math.ceil(least * of), day: day(at) })];
