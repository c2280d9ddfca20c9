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

// unwind undoes everything, last first. The steps offer retry only and hear no cancel wish: a compensation is never given up.
func (s *saga) unwind(ctx workflow.Context, d *desk, undoing func(name string) step) {
	for i := len(s.undos) - 1; i >= 0; i-- {
		_ = d.try(ctx, undoing(s.undos[i].name), s.undos[i].run)
	}
	s.undos = nil
}
