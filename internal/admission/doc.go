// Package admission has the rules of budgets and quotas (chapter 60): whether an execution may run, what its lease holds of
// them, what comes back, and what a report of consumption does. They are pure: records in, changed copies out.
//
// What an execution is admitted with is held while it is active: a slot of each of its quotas, and of each budget what its
// estimate says that it may yet spend. So usage and reservations together never exceed a hard limit, and an execution that
// keeps to its estimate is never refused what it consumes.
//
// It imports the vocabulary and the records.
package admission
