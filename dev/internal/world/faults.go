package world

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// activeFault is a fault as a sandbox lists it.
type activeFault struct {
	Fault
	Hits int `json:"hits"`
}

// Spent waits until every fault of a sandbox has hit as often as it was to, so that it hits nobody else.
func (w *World) Spent(ctx context.Context, sandbox string, within time.Duration) error {
	return w.awaitFaults(ctx, sandbox, within, func(faults []activeFault) bool {
		return !slices.ContainsFunc(faults, func(f activeFault) bool { return f.Times == 0 || f.Hits < f.Times })
	})
}

// Hit waits until the faults of a sandbox have hit at least so often.
func (w *World) Hit(ctx context.Context, sandbox string, times int, within time.Duration) error {
	return w.awaitFaults(ctx, sandbox, within, func(faults []activeFault) bool {
		hits := 0
		for _, f := range faults {
			hits += f.Hits
		}
		return hits >= times
	})
}

func (w *World) awaitFaults(ctx context.Context, sandbox string, within time.Duration, done func([]activeFault) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var list struct {
		Faults []activeFault `json:"faults"`
	}
	for {
		list.Faults = nil
		if err := w.want(ctx, http.MethodGet, sandbox+"/_sandbox/faults", "", nil, &list, http.StatusOK); err == nil && done(list.Faults) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the faults at %s did not hit as they were to within %s: %+v", sandbox, within, list.Faults)
		case <-ticker.C:
		}
	}
}

// Periods opens and closes the ERP's posting periods, as its accountant would.
func (w *World) Periods(ctx context.Context, change map[string]any) error {
	return w.want(ctx, http.MethodPost, w.ERP.URL+"/_sandbox/periods", "", change, nil, http.StatusOK, http.StatusNoContent)
}

// OpenPeriods opens those that follow the clock.
func (w *World) OpenPeriods(ctx context.Context) error {
	return w.Periods(ctx, map[string]any{"Module": "AR", "FollowClock": true})
}
