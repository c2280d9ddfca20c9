package workflows

import (
	"go.temporal.io/sdk/workflow"
)

// saga holds what must be undone, in the order in which it may have happened. Steps are registered before their forward step runs,
// so that a lost answer is undone too; each is idempotent and accepts that there is nothing to undo.
type saga struct {
	undos []undo
}

type undo struct {
	name string
	run  func(ctx workflow.Context, attempt int) error
}

// add registers an undo once; a forward step that runs again does not add it again.
func (s *saga) add(name string, run func(ctx workflow.Context, attempt int) error) {
	for _, known := range s.undos {
		if known.name == name {
			return
		}
	}
	s.undos = append(s.undos, undo{name: name, run: run})
}

// unwind undoes everything, last first. A step that can't finish parks, and is tried again when its deadline passes: a compensation
// is never given up.
func (s *saga) unwind(ctx workflow.Context, d *desk, policy Policy) {
	for i := len(s.undos) - 1; i >= 0; i-- {
		u := s.undos[i]
		// The step offers retry only and hears no cancel wish, so that try returns when it is done.
		_ = d.try(ctx, step{
			name: u.name, actions: []ResolutionKind{ResolveRetry}, deadline: policy.ParkDeadline, overdue: ResolveRetry, deaf: true,
		}, u.run)
	}
	s.undos = nil
}
