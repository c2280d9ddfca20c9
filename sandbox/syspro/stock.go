package syspro

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

const maxStockCodes = 50

// stockItem is a stock code in one warehouse.
type stockItem struct {
	StockCode       string
	Description     string
	UnitOfMeasure   string
	Warehouse       string
	QtyOnHand       number
	QtyAllocated    number
	QtyOnBackOrder  number
	QtyOnOrder      number
	QtyInInspection number
	UnitCost        number // in the company's currency
}

func stockKey(stockCode, warehouse string) string { return key(stockCode) + "@" + key(warehouse) }

func (i *stockItem) key() string { return stockKey(i.StockCode, i.Warehouse) }

// available may be negative, as the facade says.
func (i *stockItem) available() decimal.Decimal {
	return i.QtyOnHand.Sub(i.QtyAllocated.Decimal).Sub(i.QtyInInspection.Decimal)
}

func (i *stockItem) move(onHand, allocated, backOrder decimal.Decimal) {
	i.QtyOnHand = quantity(i.QtyOnHand.Add(onHand))
	i.QtyAllocated = quantity(i.QtyAllocated.Add(allocated))
	i.QtyOnBackOrder = quantity(i.QtyOnBackOrder.Add(backOrder))
}

type warehouseBalance struct {
	Warehouse                                                                          string
	QtyOnHand, QtyAllocated, QtyOnBackOrder, QtyOnOrder, QtyInInspection, AvailableQty number
}

type stockBalance struct {
	StockCode, Description, UnitOfMeasure string
	Warehouses                            []warehouseBalance
	TotalAvailable                        number
	AsOf                                  string
}

type stockAnswer struct {
	success
	Items    []stockBalance
	NotFound []string
}

func (s *Server) getStockBalance(query url.Values) (any, *problem) {
	codes := query["StockCode"]
	if len(codes) == 0 || slices.Contains(codes, "") {
		return nil, missingQuery("StockCode")
	}
	if len(codes) > maxStockCodes {
		return nil, invalidQuery("StockCode", "up to 50 stock codes")
	}
	answer := stockAnswer{success: lookedUp(), Items: []stockBalance{}, NotFound: []string{}}
	for _, code := range codes {
		if balance, known := s.stockBalance(code, query.Get("Warehouse")); known {
			answer.Items = append(answer.Items, balance)
		} else {
			answer.NotFound = append(answer.NotFound, code)
		}
	}
	if len(answer.Items) == 0 {
		return nil, notFound(codeStockUnknown, "Stock code '%s' not found", codes[0]).at("StockCode", codes[0]).by("INVQRY", "240004")
	}
	return answer, nil
}

func (s *Server) stockBalance(code, warehouse string) (stockBalance, bool) {
	warehouses := s.state.warehouses(code)
	balance := stockBalance{AsOf: s.config.Clock().UTC().Format(time.RFC3339), Warehouses: []warehouseBalance{}}
	total := decimal.Zero
	for _, i := range warehouses {
		balance.StockCode, balance.Description, balance.UnitOfMeasure = i.StockCode, i.Description, i.UnitOfMeasure
		if warehouse != "" && key(warehouse) != key(i.Warehouse) {
			continue
		}
		total = total.Add(i.available())
		balance.Warehouses = append(balance.Warehouses, warehouseBalance{
			i.Warehouse, i.QtyOnHand, i.QtyAllocated, i.QtyOnBackOrder, i.QtyOnOrder, i.QtyInInspection, quantity(i.available()),
		})
	}
	balance.TotalAvailable = quantity(total)
	return balance, len(warehouses) > 0
}

// warehouses gives a stock code's rows. The company has few warehouses, so each is asked for.
func (st *state) warehouses(code string) []*stockItem {
	var rows []*stockItem
	for _, warehouse := range warehouseCodes {
		if row := st.stock.get(stockKey(code, warehouse)); row != nil {
			rows = append(rows, row)
		}
	}
	return rows
}

// fillBackOrders gives free stock to the orders that wait for it, oldest first.
func (st *state) fillBackOrders(c *change, item *stockItem) {
	waiting := st.backOrders[item.key()]
	if len(waiting) == 0 || !item.available().IsPositive() {
		return
	}
	var still []string
	for _, number := range waiting {
		row := st.orders.get(number)
		if row.fill(item) {
			row.setStatus(row.statusByStock())
			st.touchOrder(c, row)
		}
		if row.waitsFor(item.key()) {
			still = append(still, number)
		}
	}
	if len(still) == 0 {
		delete(st.backOrders, item.key())
	} else {
		st.backOrders[item.key()] = still
	}
	c.put(kindStock, item.key(), item)
}

type stockInput struct {
	StockCode, Warehouse, Description, UnitOfMeasure            string
	QtyOnHand, QtyAdjust, QtyOnOrder, QtyInInspection, UnitCost *numeric
}

// setStock is the clerk who counts or receives stock: QtyOnHand sets, QtyAdjust adds.
func (s *Server) setStock(c *change, in *stockInput) (int, any, *problem) {
	if in.Warehouse == "" {
		in.Warehouse = defaultWarehouse
	}
	var check checks
	check.required("StockCode", in.StockCode, 30)
	check.oneOf("Warehouse", in.Warehouse, warehouseCodes...)
	check.text("Description", in.Description, 50)
	check.text("UnitOfMeasure", in.UnitOfMeasure, 10)
	read := func(field string, n *numeric, places int32) decimal.Decimal {
		if n == nil {
			return decimal.Zero
		}
		return check.number(field, *n, 12, places)
	}
	onHand, adjust := read("QtyOnHand", in.QtyOnHand, 6), read("QtyAdjust", in.QtyAdjust, 6)
	onOrder, inspection, cost := read("QtyOnOrder", in.QtyOnOrder, 6), read("QtyInInspection", in.QtyInInspection, 6), read("UnitCost", in.UnitCost, 5)
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	k := stockKey(in.StockCode, in.Warehouse)
	item := s.state.stock.get(k)
	if item == nil {
		item = &stockItem{StockCode: in.StockCode, Description: in.StockCode, UnitOfMeasure: "EA", Warehouse: in.Warehouse}
	}
	target := item.QtyOnHand.Add(adjust)
	if in.QtyOnHand != nil {
		target = onHand.Add(adjust)
	}
	if target.IsNegative() {
		return 0, nil, unprocessable(codeInsufficient, "there would be %s on hand", target)
	}
	s.state.stock.add(k, item)
	item.QtyOnHand = quantity(target)
	if in.QtyOnOrder != nil {
		item.QtyOnOrder = quantity(onOrder)
	}
	if in.QtyInInspection != nil {
		item.QtyInInspection = quantity(inspection)
	}
	if in.UnitCost != nil {
		item.UnitCost = quantity(cost)
	}
	if in.Description != "" {
		item.Description = in.Description
	}
	if in.UnitOfMeasure != "" {
		item.UnitOfMeasure = in.UnitOfMeasure
	}
	c.put(kindStock, k, item)
	s.state.fillBackOrders(c, item)
	return http.StatusOK, item, nil
}
