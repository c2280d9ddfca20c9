package settlement

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// RateSource tells what one unit of a currency costs in another on a date. ErrNoRate where it knows none.
type RateSource interface {
	Rate(from, to, date string) (decimal.Decimal, error)
}

// ErrNoRate says that a rate is not known. Nothing is converted then.
var ErrNoRate = errors.New("there is no exchange rate")

// FixedRates are rates that hold on every date, by "EUR/USD": the price of one EUR in USD.
type FixedRates map[string]decimal.Decimal

// Rate gives the rate; it does not invert the one of the other direction, whose rounding would be made up.
func (f FixedRates) Rate(from, to, _ string) (decimal.Decimal, error) {
	if from == to {
		return decimal.NewFromInt(1), nil
	}
	rate, known := f[from+"/"+to]
	if !known {
		return decimal.Zero, fmt.Errorf("%w: %s/%s", ErrNoRate, from, to)
	}
	return rate, nil
}

// DatedRates are rates of a file, or of an ERP's table: each holds from its date until the next one of its pair.
type DatedRates struct {
	MaxAge int // days that a rate may be old; 0 is 7
	pairs  map[string][]datedRate
}

type datedRate struct {
	date string
	rate decimal.Decimal
}

const maxRates = 1_000_000

// ReadRates reads a CSV of rates with the columns date (YYYY-MM-DD), from, to, rate, in any order of rows. Everything that is
// wrong is refused with its line.
func ReadRates(in io.Reader) (*DatedRates, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord = 4
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil || strings.ToLower(strings.Join(header, ",")) != "date,from,to,rate" {
		return nil, errors.New("read rates: the first line has to be date,from,to,rate")
	}
	rates := &DatedRates{pairs: map[string][]datedRate{}}
	for n := 0; ; n++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rates, rates.sort()
		}
		if err != nil {
			return nil, fmt.Errorf("read rates: %w", err)
		}
		if n == maxRates {
			return nil, fmt.Errorf("read rates: more than %d", maxRates)
		}
		if err := rates.add(record); err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("read rates, line %d: %w", line, err)
		}
	}
}

// QuotedRate is what one From costs in To, from a date on.
type QuotedRate struct {
	From, To string
	Rate     decimal.Decimal
	Date     string // YYYY-MM-DD
}

// QuotedRates holds rates that somebody else keeps to the rules of those of a file.
func QuotedRates(quoted []QuotedRate) (*DatedRates, error) {
	rates := &DatedRates{pairs: map[string][]datedRate{}}
	for _, q := range quoted {
		if err := rates.put(q.From, q.To, q.Date, q.Rate); err != nil {
			return nil, fmt.Errorf("read rates, %s/%s: %w", q.From, q.To, err)
		}
	}
	return rates, rates.sort()
}

func (d *DatedRates) add(record []string) error {
	from, to := strings.Clone(record[1]), strings.Clone(record[2])
	for _, code := range []string{from, to} {
		if _, err := canonical.MinorUnits(code); err != nil {
			return err
		}
	}
	if len(record[3]) > 30 || strings.ContainsAny(record[3], "eE") {
		return errors.New("the rate has to be a decimal number")
	}
	rate, err := decimal.NewFromString(record[3])
	if err != nil {
		return errBadRate
	}
	return d.put(from, to, strings.Clone(record[0]), rate)
}

func (d *DatedRates) put(from, to, date string, rate decimal.Decimal) error {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return errors.New("the date has to be YYYY-MM-DD")
	}
	if !rate.IsPositive() {
		return errBadRate
	}
	d.pairs[from+"/"+to] = append(d.pairs[from+"/"+to], datedRate{date, rate})
	return nil
}

var errBadRate = errors.New("the rate has to be a decimal number above zero")

func (d *DatedRates) sort() error {
	for pair, rates := range d.pairs {
		slices.SortFunc(rates, func(a, b datedRate) int { return strings.Compare(a.date, b.date) })
		for i := 1; i < len(rates); i++ {
			if rates[i].date == rates[i-1].date {
				return fmt.Errorf("read rates: %s has two on %s", pair, rates[i].date)
			}
		}
	}
	return nil
}

// Rate gives the newest rate up to the date that is not too old.
func (d *DatedRates) Rate(from, to, date string) (decimal.Decimal, error) {
	if from == to {
		return decimal.NewFromInt(1), nil
	}
	rates := d.pairs[from+"/"+to]
	at, found := slices.BinarySearchFunc(rates, date, func(r datedRate, date string) int { return strings.Compare(r.date, date) })
	if !found {
		at--
	}
	if at < 0 {
		return decimal.Zero, fmt.Errorf("%w: %s/%s on %s", ErrNoRate, from, to, date)
	}
	wanted, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return decimal.Zero, errors.New("find rate: the date has to be YYYY-MM-DD")
	}
	of, err := time.Parse(time.DateOnly, rates[at].date)
	if err != nil {
		return decimal.Zero, err
	}
	most := d.MaxAge
	if most <= 0 {
		most = 7
	}
	if wanted.Sub(of) > time.Duration(most)*24*time.Hour {
		return decimal.Zero, fmt.Errorf("%w: %s/%s on %s, the last is of %s", ErrNoRate, from, to, date, rates[at].date)
	}
	return rates[at].rate, nil
}

// Convert gives an amount in another currency, rounded half away from zero to its minor units.
func Convert(m canonical.Money, to, date string, rates RateSource) (canonical.Money, error) {
	if _, err := canonical.MinorUnits(to); err != nil {
		return canonical.Money{}, fmt.Errorf("convert: %w", err)
	}
	rate, err := rates.Rate(m.Currency, to, date)
	if err != nil {
		return canonical.Money{}, err
	}
	return canonical.NewMoney(canonical.RoundAmount(m.Amount.Mul(rate), to), to), nil
}

// ConvertSettlement gives a settlement in the ledger's currency. Each line is converted and rounded for itself; what they then lack to
// the converted net of the day, or to what the acquirer really paid out where that is known, becomes a line of the exchange account.
// paid is zero where it is not known.
func ConvertSettlement(s canonical.Settlement, to string, paid canonical.Money, rates RateSource) (canonical.Settlement, error) {
	if paid.Currency != "" && paid.Currency != to {
		return canonical.Settlement{}, errors.New("convert settlement: it was paid out in another currency than the ledger's")
	}
	converted := s
	converted.Currency, converted.Lines = to, make([]canonical.SettlementLine, 0, len(s.Lines)+1)
	net, lines := decimal.Zero, decimal.Zero
	for _, line := range s.Lines {
		money, err := Convert(canonical.NewMoney(line.Amount, s.Currency), to, s.Date, rates)
		if err != nil {
			return canonical.Settlement{}, fmt.Errorf("convert settlement: %w", err)
		}
		switch WayOf(line.Category) {
		case Income:
			net, lines = net.Add(line.Amount), lines.Add(money.Amount)
		case Expense:
			net, lines = net.Sub(line.Amount), lines.Sub(money.Amount)
		default: // no part of the net
		}
		line.Amount = money.Amount
		converted.Lines = append(converted.Lines, line)
	}
	wanted := paid
	if paid.Currency == "" {
		var err error
		if wanted, err = Convert(canonical.NewMoney(net, s.Currency), to, s.Date, rates); err != nil {
			return canonical.Settlement{}, fmt.Errorf("convert settlement: %w", err)
		}
	}
	if difference := wanted.Amount.Sub(lines); !difference.IsZero() {
		e := sided(canonical.NewMoney(difference, to), FXCredit, FX)
		converted.Lines = append(converted.Lines, canonical.SettlementLine{Category: e.category, Amount: e.money.Amount})
	}
	return converted, nil
}
