package sagepro

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/tenderline/tenderline/internal/fault"
)

// maxSteps bounds how far a counter is moved past numbers that are used already.
const maxSteps = 50

// nextNumber takes the next number of a counter that used does not know. The counter's row stays locked until the transaction ends, so it is
// the first lock of all. A counter that a stock Sage Pro has not (customers, stock movements) is kept in cyb_watermark where sycnext has
// no row of it.
func (t *tx) nextNumber(ctx context.Context, counter string, used func(ctx context.Context, number int64) (bool, error)) (int64, error) {
	for range maxSteps {
		number, err := t.increment(ctx, counter)
		if err != nil {
			return 0, err
		}
		taken, err := used(ctx, number)
		if err != nil {
			return 0, err
		}
		if !taken {
			return number, nil
		}
	}
	return 0, t.client.refuse(fault.DeclinedByPolicy, codeNumbers, "the next "+strconv.Itoa(maxSteps)+" numbers of the counter "+counter+
		" are used already: somebody has to set it right")
}

// nextDocument takes the next number of a document that is in none of the rows of its table, current and history.
func (t *tx) nextDocument(ctx context.Context, counter, table, column string) (string, error) {
	number, err := t.nextNumber(ctx, counter, func(ctx context.Context, number int64) (bool, error) {
		return t.exists(ctx, table, column, strconv.FormatInt(number, 10))
	})
	return strconv.FormatInt(number, 10), err
}

func (t *tx) increment(ctx context.Context, counter string) (int64, error) {
	place := t.site.names.counter(counter)
	into, err := t.site.sql("{sycnext}")
	if err != nil {
		return 0, err
	}
	next, err := t.site.sql("{sycnext.nextval}")
	if err != nil {
		return 0, err
	}
	where, err := t.site.sql("{sycnext.sysid} = ? AND {sycnext.keyname} = ?")
	if err != nil {
		return 0, err
	}
	var number whole
	err = t.get(ctx, &number, t.dialect.increment(into, next, where), t.value("sycnext.sysid", forCompany(place.System, t.site.company)),
		t.value("sycnext.keyname", place.Key))
	if !errors.Is(err, sql.ErrNoRows) {
		return int64(number), err
	}
	if counter == counterOrder || counter == counterInvoice || counter == counterBatch {
		return 0, t.client.refuse(fault.MissingReference, codeSite, "sycnext has no row for the counter "+counter+" ("+
			forCompany(place.System, t.site.company)+", "+place.Key+")")
	}
	return t.incrementOwn(ctx, counter)
}

// incrementOwn counts in cyb_watermark.
func (t *tx) incrementOwn(ctx context.Context, counter string) (int64, error) {
	stream := "counter " + counter
	_, err := t.insertAbsent(ctx, "cyb_watermark", []string{"company", "stream"}, row{"company": t.site.company, "stream": stream, "lastid": 1})
	if err != nil {
		return 0, err
	}
	into, err := t.site.sql("{cyb_watermark}")
	if err != nil {
		return 0, err
	}
	next, err := t.site.sql("{cyb_watermark.lastid}")
	if err != nil {
		return 0, err
	}
	where, err := t.site.sql("{cyb_watermark.company} = ? AND {cyb_watermark.stream} = ?")
	if err != nil {
		return 0, err
	}
	var number whole
	err = t.get(ctx, &number, t.dialect.increment(into, next, where), t.value("cyb_watermark.company", t.site.company), t.value("cyb_watermark.stream", stream))
	return int64(number), err
}

// exists tells whether a value is in a column of a table or of its history twin.
func (q querier) exists(ctx context.Context, table, column, value string) (bool, error) {
	var found []whole
	err := q.listBoth(ctx, &found, table, "SELECT 1 AS found FROM {@} WHERE {@."+column+"} = ?", q.value(table+"."+column, value))
	return len(found) > 0, err
}
