package sagepro

import (
	"context"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/erp"
)

// itemRow is what this package reads of an item.
type itemRow struct {
	Item    text   `db:"item"`
	ItmDesc text   `db:"itmdesc"`
	AvgCost amount `db:"avgcost"`
	StkCode flag   `db:"stkcode"` // kept in stock
}

// mostKeys bounds the arguments of one statement: SQL Server takes 2100.
const mostKeys = 500

// notCounted is what is free of an item that is sold without being kept in stock.
var notCounted = decimal.New(1, 9)

// items finds items by code.
func (q querier) items(ctx context.Context, codes []string) (map[string]itemRow, error) {
	all := map[string]itemRow{}
	for page := range slices.Chunk(distinctCodes(codes), mostKeys) {
		var found []itemRow
		err := q.list(ctx, &found, "SELECT {icitem: item itmdesc avgcost stkcode} FROM {icitem} WHERE {icitem.item} IN ("+marks(len(page))+")",
			q.values("icitem.item", page)...)
		if err != nil {
			return nil, err
		}
		for _, each := range found {
			all[foldCode(string(each.Item))] = each
		}
	}
	return all, nil
}

func distinctCodes(codes []string) []string {
	folded := make([]string, 0, len(codes))
	for _, code := range codes {
		if code = foldCode(code); code != "" {
			folded = append(folded, code)
		}
	}
	slices.Sort(folded)
	return slices.Compact(folded)
}

// Stock tells what is on hand and not promised of every code, in the order of the query. Of an item that is sold without being kept in stock
// there is always enough.
func (c *Client) Stock(ctx context.Context, query erp.StockQuery) ([]erp.StockBalance, error) {
	balances := make([]erp.StockBalance, 0, len(query.StockCodes))
	if len(query.StockCodes) == 0 {
		return balances, nil
	}
	err := c.read(ctx, "Stock", func(ctx context.Context, q querier) error {
		items, err := q.items(ctx, query.StockCodes)
		if err != nil {
			return err
		}
		free, err := q.free(ctx, query.StockCodes, query.Warehouse)
		if err != nil {
			return err
		}
		for _, code := range query.StockCodes {
			item, known := items[foldCode(code)]
			balance := erp.StockBalance{StockCode: code, Known: known}
			switch {
			case known && !bool(item.StkCode):
				balance.Available = notCounted
			case known:
				balance.Available = free[foldCode(code)]
			}
			balances = append(balances, balance)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return balances, nil
}

// free sums what is on hand and not allocated, by item, in one location or ("") in all.
func (q querier) free(ctx context.Context, codes []string, location string) (map[string]decimal.Decimal, error) {
	free := map[string]decimal.Decimal{}
	for page := range slices.Chunk(distinctCodes(codes), mostKeys) {
		query := "SELECT {iciloc: item loctid lonhand lsoaloc} FROM {iciloc} WHERE {iciloc.item} IN (" + marks(len(page)) + ")"
		arguments := q.values("iciloc.item", page)
		if location != "" {
			query += " AND {iciloc.loctid} = ?"
			arguments = append(arguments, q.value("iciloc.loctid", location))
		}
		var found []stockRow
		if err := q.list(ctx, &found, query, arguments...); err != nil {
			return nil, err
		}
		for _, each := range found {
			item := foldCode(string(each.Item))
			free[item] = free[item].Add(each.LOnHand.Decimal).Sub(each.LSoAloc.Decimal)
		}
	}
	return free, nil
}
