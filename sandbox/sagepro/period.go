package sagepro

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// modules have posting periods of their own.
var modules = [...]string{"GL", "AR", "AP"}

// Periods reach so many months back and ahead.
const (
	periodsBack  = 24
	periodsAhead = 12
)

// followClock brings the periods of the modules that nobody set up to the clock: this month and the former one are open, and the next one once it
// has begun somewhere in the world.
func (s *Server) followClock(ctx context.Context) error {
	s.following.Lock()
	defer s.following.Unlock()
	now := s.now()
	if s.followed == now.Format(time.DateOnly) {
		return nil
	}
	err := s.change(ctx, func(tx *sqlx.Tx) error {
		if err := s.dialect.alone(ctx, tx); err != nil {
			return err
		}
		w := &writer{ctx: ctx, tx: tx}
		var pinned []string
		w.all(&pinned, "SELECT sysid FROM sandbox_pin")
		for _, m := range modules {
			if !slices.Contains(pinned, s.sysid(m)) {
				w.openPeriods(s.sysid(m), now, openByClock(now))
			}
		}
		return w.err
	})
	if err != nil {
		return fmt.Errorf("bring periods up to the clock: %w", err)
	}
	s.followed = now.Format(time.DateOnly)
	return nil
}

// openByClock tells which months are open on a day.
func openByClock(now time.Time) func(month time.Time) bool {
	current := firstOf(now)
	latest := firstOf(now.AddDate(0, 0, 1))
	return func(month time.Time) bool {
		return !month.Before(current.AddDate(0, -1, 0)) && !month.After(latest)
	}
}

func firstOf(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC) }

// openPeriods makes the periods around a day where they are absent, and opens and closes them.
func (w *writer) openPeriods(sysid string, around time.Time, open func(month time.Time) bool) {
	var known []struct {
		Year   int    `db:"glyear"`
		Period int    `db:"glperiod"`
		Open   string `db:"isopen"`
	}
	w.all(&known, "SELECT glyear, glperiod, isopen FROM sycperd WHERE sysid = ?", sysid)
	is := map[string]string{}
	for _, k := range known {
		is[fmt.Sprintf("%04d-%02d", k.Year, k.Period)] = k.Open
		month := time.Date(k.Year, time.Month(k.Period), 1, 0, 0, 0, 0, time.UTC)
		if want := yesNo(open(month)); want != k.Open {
			w.update("sycperd", row{"isopen": want}, "sysid = ? AND glyear = ? AND glperiod = ?", sysid, k.Year, k.Period)
		}
	}
	for back := -periodsBack; back <= periodsAhead; back++ {
		month := firstOf(around).AddDate(0, back, 0)
		if _, there := is[month.Format("2006-01")]; there {
			continue
		}
		w.insert("sycperd", row{"sysid": sysid, "glyear": month.Year(), "glperiod": int(month.Month()), "startdt": month.Format(time.DateOnly),
			"enddt": month.AddDate(0, 1, -1).Format(time.DateOnly), "isopen": yesNo(open(month))})
	}
}

func yesNo(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}
