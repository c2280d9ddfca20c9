package sagepro

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/fault"
)

// customerRow is what this package reads of a customer: an explicit list, without anything of a card.
type customerRow struct {
	CustNo   text   `db:"custno"`
	Company  text   `db:"company"`
	Email    text   `db:"email"`
	Currency text   `db:"currency"`
	PTerms   text   `db:"pterms"`
	Limit    amount `db:"limit"`
	Balance  amount `db:"balance"`
	OnOrder  amount `db:"onorder"`
	CredStat text   `db:"credstat"`
	CustStat text   `db:"custstat"`
	recordLock

	unlock row // takes a stale record lock away with the next write
}

const customerColumns = "{arcust: custno company email currency pterms limit balance onorder credstat custstat " + lockColumns + "}"

// onHold tells whether the customer gets nothing at the moment, or is none any more.
func (r customerRow) onHold(c *Client) bool {
	return isOneOf(string(r.CredStat), c.held.CreditStatus...) || isOneOf(string(r.CustStat), c.held.CustomerStatus...)
}

// customerOf finds a customer by code, whatever its case; sql.ErrNoRows if there is none.
func (q querier) customerOf(ctx context.Context, code string) (customerRow, error) {
	var found customerRow
	err := q.get(ctx, &found, "SELECT "+customerColumns+" FROM {arcust} WHERE {arcust.custno} = ?", q.value("arcust.custno", code))
	return found, err
}

// lockCustomer locks a customer's row and reads it. A customer that is not there is a MissingReference, one that a person has open is Busy.
func (t *tx) lockCustomer(ctx context.Context, code string) (customerRow, error) {
	var found customerRow
	err := t.get(ctx, &found, "SELECT "+customerColumns+" FROM {arcust!} WHERE {arcust.custno} = ?{lock}", t.value("arcust.custno", code))
	if errors.Is(err, sql.ErrNoRows) {
		return found, t.client.refuse(fault.MissingReference, codeCustomer, fmt.Sprintf("the ERP has no customer %q", foldCode(code)))
	}
	if err != nil {
		return found, err
	}
	found.unlock, err = found.free(t.client, "customer "+string(found.CustNo))
	return found, err
}

// setCustomer writes running totals and whatever else of a customer that this transaction has locked.
func (t *tx) setCustomer(ctx context.Context, customer customerRow, values row) error {
	return t.updateOne(ctx, "arcust", row{"custno": customer.CustNo}, merged(customer.unlock, values))
}

// updateOne changes exactly one row. Where the site has none of the columns, which are all optional then, there is nothing to change.
func (t *tx) updateOne(ctx context.Context, table string, key, values row) error {
	if names, _, err := t.columnsOf(table, values); err != nil || len(names) == 0 {
		return err
	}
	changed, err := t.update(ctx, table, key, values)
	if err == nil && (changed < 1 || changed > 1 && t.dialect.countsAlone()) {
		err = fmt.Errorf("%s: %d rows instead of one were changed", table, changed)
	}
	return err
}

// place is an item in a stock location.
type place struct{ item, location string }

func (p place) compare(other place) int {
	return cmp.Or(strings.Compare(p.item, other.item), strings.Compare(p.location, other.location))
}

// stockRow is an item in a stock location, as it is on hand and promised.
type stockRow struct {
	Item    text   `db:"item"`
	LoctID  text   `db:"loctid"`
	LOnHand amount `db:"lonhand"`
	LSoAloc amount `db:"lsoaloc"`
}

// movement is what becomes of an item in a location: goods that come (or leave, negative), and what is promised (or given back, negative).
type movement struct{ onHand, allocated decimal.Decimal }

// moveStock locks items in their locations, in order, and adds to what is on hand and allocated. check may refuse a row before it is written.
// The items' quantities of all locations follow, after them: so nobody who moves stock here waits in a circle.
func (t *tx) moveStock(ctx context.Context, moves map[place]movement, check func(stockRow, movement) error) error {
	places := slices.SortedFunc(maps.Keys(moves), place.compare)
	items := map[string]decimal.Decimal{}
	for _, each := range places {
		if err := t.moveOne(ctx, each, moves[each], check); err != nil {
			return err
		}
		if onHand := moves[each].onHand; !onHand.IsZero() {
			items[each.item] = items[each.item].Add(onHand)
		}
	}
	for _, item := range slices.Sorted(maps.Keys(items)) {
		if err := t.moveItem(ctx, item, items[item]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) moveOne(ctx context.Context, at place, move movement, check func(stockRow, movement) error) error {
	var held stockRow
	err := t.get(ctx, &held, "SELECT {iciloc: item loctid lonhand lsoaloc} FROM {iciloc!} WHERE {iciloc.item} = ? AND {iciloc.loctid} = ?{lock}",
		t.value("iciloc.item", at.item), t.value("iciloc.loctid", at.location))
	if errors.Is(err, sql.ErrNoRows) {
		return t.client.refuse(fault.MissingReference, codeStock, fmt.Sprintf("stock code %q is not kept at location %q", at.item, at.location))
	}
	if err != nil {
		return err
	}
	if check != nil {
		if err := check(held, move); err != nil {
			return err
		}
	}
	values := row{}
	if !move.onHand.IsZero() {
		values["lonhand"] = held.LOnHand.Add(move.onHand)
	}
	if !move.allocated.IsZero() {
		values["lsoaloc"] = held.LSoAloc.Add(move.allocated)
	}
	if len(values) == 0 {
		return nil
	}
	return t.updateOne(ctx, "iciloc", row{"item": at.item, "loctid": at.location}, values)
}

// moveItem adds to an item's quantity of all locations, where the site keeps it.
func (t *tx) moveItem(ctx context.Context, item string, onHand decimal.Decimal) error {
	if _, kept := t.site.column("icitem", "ionhand"); !kept {
		return nil
	}
	var held amount
	err := t.get(ctx, &held, "SELECT {icitem: ionhand} FROM {icitem!} WHERE {icitem.item} = ?{lock}", t.value("icitem.item", item))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.updateOne(ctx, "icitem", row{"item": item}, row{"ionhand": held.Add(onHand)})
}
