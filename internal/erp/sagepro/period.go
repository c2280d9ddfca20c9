package sagepro

import (
	"context"
	"fmt"

	"github.com/tenderline/tenderline/internal/fault"
)

// The modules that posting periods are kept by.
const (
	moduleReceivables = "AR"
	modulePayables    = "AP"
	moduleLedger      = "GL"
)

// period is a row of sycperd.
type period struct {
	SysID    text  `db:"sysid"`
	GLYear   whole `db:"glyear"`
	GLPeriod whole `db:"glperiod"`
	StartDt  day   `db:"startdt"`
	EndDt    day   `db:"enddt"`
	IsOpen   flag  `db:"isopen"`
}

// openPeriod gives the open posting period of a module that a date (YYYY-MM-DD) is in, or a fault of kind ClosedPeriod.
func (t *tx) openPeriod(ctx context.Context, module, date string) (period, error) {
	var found []period
	err := t.list(ctx, &found, "SELECT {sycperd: sysid glyear glperiod startdt enddt isopen} FROM {sycperd} WHERE {sycperd.sysid} = ?"+
		" AND {sycperd.startdt} <= ? AND {sycperd.enddt} >= ?",
		t.value("sycperd.sysid", module+t.site.company), t.value("sycperd.startdt", date), t.value("sycperd.enddt", date))
	if err != nil {
		return period{}, err
	}
	for _, each := range found {
		if each.IsOpen {
			return each, nil
		}
	}
	if len(found) == 0 {
		return period{}, t.client.refuse(fault.ClosedPeriod, codePeriod, fmt.Sprintf("%s has no posting period for %s", module, date))
	}
	return period{}, t.client.refuse(fault.ClosedPeriod, codePeriod, fmt.Sprintf("the posting period %d/%d of %s is closed", found[0].GLYear, found[0].GLPeriod, module))
}
