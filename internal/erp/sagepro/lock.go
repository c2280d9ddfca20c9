package sagepro

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

// recordLock is the mark that Sage Pro puts on a record while a person has it open. Its programs wait for a row that a transaction holds, so
// that this package needs no mark of its own: it locks the row, then looks for the mark of others.
type recordLock struct {
	LckStat text `db:"lckstat"`
	LckUser text `db:"lckuser"`
	LckDate day  `db:"lckdate"`
	LckTime text `db:"lcktime"`
}

// lockColumns are those of a recordLock, for a list of columns.
const lockColumns = "lckstat lckuser lckdate lcktime"

// free refuses a record that a person has open, unless the mark is older than the site allows: then its program has died, and the result,
// which is to be written with the record, takes the mark away. A mark without a time is never old.
func (l recordLock) free(c *Client, record string) (unlock row, err error) {
	if l.LckStat != "L" {
		return row{}, nil
	}
	since, known := l.since(c.config.TimeZone)
	age := c.config.Clock().Sub(since)
	if c.config.StaleLock > 0 && known && age > c.config.StaleLock {
		c.config.Logger.Warn("stale record lock taken away", slog.String("system", c.config.Name), slog.String("record", record),
			slog.String("user", string(l.LckUser)), slog.Duration("age", age))
		return row{"lckstat": "", "lckuser": "", "lckdate": nil, "lcktime": ""}, nil
	}
	message := fmt.Sprintf("%s is open on the screen of %s", record, l.LckUser)
	if known {
		message += " since " + since.Format("2006-01-02 15:04:05")
	}
	return nil, c.refuse(fault.Busy, codeLocked, message)
}

// since is when the mark was set, by the site's clock.
func (l recordLock) since(zone *time.Location) (time.Time, bool) {
	at, err := time.ParseInLocation("2006-01-02 15:04:05", string(l.LckDate)+" "+string(l.LckTime), zone)
	return at, err == nil
}
