package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
)

// PaymentFilter says which payments a list holds. Zero fields don't narrow it.
type PaymentFilter struct {
	Status    canonical.PaymentStatus
	Currency  string
	SettledOn string    // YYYY-MM-DD
	From, To  time.Time // opened at or after, and before
	Limit     int       // default 50, at most 500
	Cursor    string    // of the page before
}

// Payments lists payments, the latest first. next is the cursor of the next page, "" after the last one.
func (s *Store) Payments(ctx context.Context, filter PaymentFilter) (page []Payment, next string, err error) {
	where, err := filter.conditions()
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(filter.Limit)
	var rows []paymentRow
	err = s.db.read().list(ctx, &rows, `SELECT `+paymentColumns+` FROM payments p`+where.text()+`
		ORDER BY p.created_at DESC, p.order_id DESC LIMIT ?`, append(where.args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list payments: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(rows[limit-1].CreatedAt, rows[limit-1].OrderID)
	}
	open, err := s.openOf(ctx, rows)
	if err != nil {
		return nil, "", err
	}
	page = make([]Payment, 0, len(rows))
	for _, row := range rows {
		page = append(page, row.payment(sum(open[row.OrderID])))
	}
	return page, next, nil
}

func (f PaymentFilter) conditions() (conditions, error) {
	var where conditions
	if f.Status != "" {
		where.add(`p.status = ?`, f.Status)
	}
	if f.Currency != "" {
		where.add(`p.currency = ?`, f.Currency)
	}
	if f.SettledOn != "" {
		where.add(`p.settled_on = ? AND p.settled_on <> ''`, f.SettledOn) // as its index says
	}
	where.between(`p.created_at`, f.From, f.To)
	if f.Cursor != "" {
		at, id, err := parseCursor(f.Cursor)
		if err != nil {
			return where, err
		}
		where.add(`(p.created_at < ? OR (p.created_at = ? AND p.order_id < ?))`, at, at, id)
	}
	return where, nil
}

// openOf gives the reservations of a page of payments, by order.
func (s *Store) openOf(ctx context.Context, payments []paymentRow) (map[string][]reservation, error) {
	if len(payments) == 0 {
		return nil, nil
	}
	orders := make([]string, len(payments))
	for i, row := range payments {
		orders[i] = row.OrderID
	}
	of := ofOrders(orders)
	var rows []struct {
		reservation
		OrderID string `db:"order_id"`
	}
	err := s.db.read().list(ctx, &rows, `SELECT order_id, operation_key, effect, amount FROM operations
		WHERE `+of.condition+` AND effect <> '' AND `+isOpen, of.args...)
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	open := map[string][]reservation{}
	for _, row := range rows {
		open[row.OrderID] = append(open[row.OrderID], row.reservation)
	}
	return open, nil
}

// CashDay is what happened to the money of one currency on one day. Amounts are never negative, but for Due.
type CashDay struct {
	Date        string // YYYY-MM-DD
	Currency    string
	Authorized  decimal.Decimal // asked of banks and approved
	Captured    decimal.Decimal // taken, less what was voided since
	Refunded    decimal.Decimal // paid back
	Settled     decimal.Decimal // that a settlement of that date has shown: captures less refunds
	ChargedBack decimal.Decimal // opened disputes that are not won
	// Due is what the gateway owes for that day's captures and refunds, since no settlement has shown them; negative where the merchant does.
	Due decimal.Decimal
}

// CashPosition gives what happened from a day to another, both inclusive (YYYY-MM-DD), by day in a time zone (nil: UTC) and currency. Sums are
// exact, and are made while the rows stream by.
func (s *Store) CashPosition(ctx context.Context, from, to string, zone *time.Location) ([]CashDay, error) {
	if zone == nil {
		zone = time.UTC
	}
	first, errFrom := time.Parse(time.DateOnly, from)
	last, errTo := time.Parse(time.DateOnly, to)
	if err := errors.Join(errFrom, errTo); err != nil {
		return nil, fmt.Errorf("cash position: days have to be YYYY-MM-DD: %w", err)
	}
	p := position{zone: zone, days: map[cashKey]*CashDay{}}
	begin, end := toInstant(settlement.Begins(first, zone)), toInstant(settlement.Begins(last.AddDate(0, 0, 1), zone))
	err := errors.Join(
		s.stream(ctx, p.moved, `SELECT effect, moved, currency, settles, settled_on, taken_at FROM operations
			WHERE moved <> '' AND effect <> '' AND taken_at >= ? AND taken_at < ?`, begin, end),
		s.stream(ctx, p.settled, `SELECT effect, moved, currency, settles, settled_on, taken_at FROM operations
			WHERE settled_on <> '' AND settled_on >= ? AND settled_on <= ?`, from, to),
		s.stream(ctx, p.chargedBack, `SELECT '' AS effect, amount AS moved, currency, NOT retrieval AS settles, '' AS settled_on, opened_at AS taken_at
			FROM chargebacks WHERE NOT retrieval AND outcome <> 'won' AND opened_at >= ? AND opened_at < ?`, begin, end),
	)
	if err != nil {
		return nil, fmt.Errorf("read cash position: %w", err)
	}
	return p.list(), nil
}

// cashRow is money that moved.
type cashRow struct {
	Effect    Effect          `db:"effect"`
	Moved     decimal.Decimal `db:"moved"`
	Currency  string          `db:"currency"`
	Settles   bool            `db:"settles"`
	SettledOn string          `db:"settled_on"`
	TakenAt   instant         `db:"taken_at"`
}

// stream gives the rows of a query one by one.
func (s *Store) stream(ctx context.Context, each func(cashRow), query string, args ...any) (err error) {
	q := s.db.read()
	rows, err := q.QueryxContext(ctx, q.Rebind(query), args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var row cashRow
		if err := rows.StructScan(&row); err != nil {
			return err
		}
		each(row)
	}
	return rows.Err()
}

type cashKey struct{ date, currency string }

// position sums up.
type position struct {
	zone *time.Location
	days map[cashKey]*CashDay
}

func (p position) day(date, currency string) *CashDay {
	key := cashKey{date, currency}
	if p.days[key] == nil {
		p.days[key] = &CashDay{Date: date, Currency: currency}
	}
	return p.days[key]
}

func (p position) dayOf(row cashRow) *CashDay {
	return p.day(row.TakenAt.time().In(p.zone).Format(time.DateOnly), row.Currency)
}

func (p position) moved(row cashRow) {
	switch row.Effect {
	case EffectAuthorize, EffectSale, EffectCapture, EffectRefund:
	default: // what takes these back shows in that they do not settle
		return
	}
	day := p.dayOf(row)
	if row.Effect == EffectAuthorize || row.Effect == EffectSale {
		day.Authorized = day.Authorized.Add(row.Moved)
	}
	if !row.Settles {
		return
	}
	signed := row.Moved
	if row.Effect == EffectRefund {
		day.Refunded = day.Refunded.Add(row.Moved)
		signed = signed.Neg()
	} else {
		day.Captured = day.Captured.Add(row.Moved)
	}
	if row.SettledOn == "" {
		day.Due = day.Due.Add(signed)
	}
}

func (p position) settled(row cashRow) {
	day := p.day(row.SettledOn, row.Currency)
	if row.Effect == EffectRefund {
		row.Moved = row.Moved.Neg()
	}
	day.Settled = day.Settled.Add(row.Moved)
}

func (p position) chargedBack(row cashRow) {
	day := p.dayOf(row)
	day.ChargedBack = day.ChargedBack.Add(row.Moved)
}

// list gives the days in order.
func (p position) list() []CashDay {
	list := make([]CashDay, 0, len(p.days))
	for _, day := range p.days {
		list = append(list, *day)
	}
	slices.SortFunc(list, func(a, b CashDay) int {
		return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.Currency, b.Currency))
	})
	return list
}
