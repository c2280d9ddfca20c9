// Package activities holds the side effects of the processes: one file per concern, one struct of dependencies per task queue.
// A method's name is the activity's type and stands in histories for ever. Inputs and outputs are one struct each, so that
// fields can be added later. Every failure leaves through errors.go.
package activities
