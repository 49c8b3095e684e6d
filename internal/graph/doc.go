// Package graph is the rules of flows (chapters 20 and 30): when the edges of a member are decided, what each resolved
// edge counts, what a flow's record says of its members. Pure functions over records: a record that is given is never
// changed, a changed copy is returned.
//
// What a decision does to an execution is a rule of package lifecycle; package ops brings the two together.
package graph
