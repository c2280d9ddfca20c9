package sagepro

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

var _ erp.RatePort = (*Client)(nil)

// rateRow is a row of sycrate.
type rateRow struct {
	CurrID   text   `db:"currid"`
	RateDate day    `db:"ratedate"`
	Rate     amount `db:"rate"`
}

// lastRates asks for the last row of each currency up to a date.
const lastRates = "SELECT {sycrate: currid ratedate rate} FROM {sycrate} kept WHERE {sycrate.ratedate} = (SELECT MAX(late.{sycrate.ratedate}) FROM {sycrate} late" +
	" WHERE late.{sycrate.currid} = kept.{sycrate.currid} AND late.{sycrate.ratedate} <= ?) ORDER BY {sycrate.currid}"

// ExchangeRates gives the last rates at or before a date. The table keeps what one unit of a currency costs in the company's own, and does not
// say which that is: where it keeps a rate of to itself, to is another one, and the rates are refused. A currency whose last rate is zero has none.
func (c *Client) ExchangeRates(ctx context.Context, to, date string) ([]erp.Rate, error) {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return nil, c.refuse(fault.Value, codeInvalidField, "the date of exchange rates has to be YYYY-MM-DD")
	}
	var rates []erp.Rate
	err := c.read(ctx, "ExchangeRates", func(ctx context.Context, q querier) error {
		if !q.site.keeps("sycrate") {
			c.site.Store(nil) // the next try sees a table that people have made since
			return c.notFound(codeRates, "the site keeps no exchange rates")
		}
		var found []rateRow
		if err := q.list(ctx, &found, lastRates, q.value("sycrate.ratedate", date)); err != nil {
			return err
		}
		var err error
		rates, err = c.ratesTo(foldCode(to), found)
		return err
	})
	return rates, err
}

// ratesTo reads rows, in the order of their currencies, as rates to the company's own currency.
func (c *Client) ratesTo(to string, found []rateRow) ([]erp.Rate, error) {
	rates := make([]erp.Rate, 0, len(found))
	for i, each := range found {
		from := foldCode(string(each.CurrID))
		switch {
		case i > 0 && from == foldCode(string(found[i-1].CurrID)):
			return nil, c.refuse(fault.Conflict, codeAmbiguous, fmt.Sprintf("the site keeps two exchange rates of %s on %s", from, each.RateDate))
		case from == to && !each.Rate.Equal(decimal.NewFromInt(1)):
			return nil, c.refuse(fault.Value, codeCurrency, fmt.Sprintf("the site's exchange rates are not in %s: it keeps a rate of %s itself", to, to))
		case from == to || !each.Rate.IsPositive():
			continue
		}
		rates = append(rates, erp.Rate{From: from, To: to, Rate: each.Rate.Decimal, Date: string(each.RateDate)})
	}
	return rates, nil
}
