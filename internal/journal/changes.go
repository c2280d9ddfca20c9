package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Cursor gives how far a feed was read: all up to the time is durable here. Zero: never read.
func (s *Store) Cursor(ctx context.Context, name string) (time.Time, error) {
	var watermark instant
	err := s.db.read().get(ctx, &watermark, `SELECT watermark FROM cursors WHERE name = ?`, name)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return watermark.time(), failed(err, "read cursor", name)
}

// ReceiveChanges stores events durably and moves the cursor of their feed over them, in one transaction, and tells how many were new. The
// cursor never goes back; a zero watermark leaves it.
func (s *Store) ReceiveChanges(ctx context.Context, items []InboxItem, name string, watermark time.Time) (created int, err error) {
	err = s.db.transact(ctx, func(q queryer) error {
		created = 0
		for _, item := range items {
			fresh, err := s.receive(ctx, q, item)
			if err != nil {
				return err
			}
			if fresh {
				created++
			}
		}
		if watermark.IsZero() {
			return nil
		}
		_, err := q.exec(ctx, `INSERT INTO cursors (name, watermark, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET
			watermark = excluded.watermark, updated_at = excluded.updated_at WHERE cursors.watermark < excluded.watermark`,
			name, toInstant(watermark), s.now())
		return failed(err, "move cursor", name)
	})
	if err != nil {
		return 0, err
	}
	return created, nil
}

// ShipmentRecord is goods of an order that left.
type ShipmentRecord struct {
	OrderID    string
	Shipment   canonical.Shipment
	Sequence   int             // within the order, from 1
	Share      canonical.Money // what of the order it is worth
	Complete   bool            // nothing of the order is left to ship after it
	Final      bool            // the first one of which that is so
	RecordedAt time.Time
}

// RecordShipment stores a shipment once, on the locked order row, with the share that value works out from the order's shipments before it,
// oldest first. One that is there keeps its place and its share; carrier, tracking and invoice are taken over once they are known. value
// may run more than once and must not use the store.
func (s *Store) RecordShipment(ctx context.Context, orderID string, shipment canonical.Shipment,
	value func(earlier []ShipmentRecord) (share canonical.Money, complete bool),
) (stored ShipmentRecord, err error) {
	err = s.db.transact(ctx, func(q queryer) error {
		if err := s.lockOrder(ctx, q, orderID); err != nil {
			return err
		}
		earlier, err := s.shipmentsOf(ctx, q, orderID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(earlier, func(r ShipmentRecord) bool { return r.Shipment.Number == shipment.Number })
		if at >= 0 {
			stored = earlier[at]
			return s.updateShipment(ctx, q, &stored, shipment)
		}
		stored = ShipmentRecord{OrderID: orderID, Shipment: shipment, Sequence: len(earlier) + 1, RecordedAt: s.now().time()}
		stored.Share, stored.Complete = value(earlier)
		stored.Final = stored.Complete && (len(earlier) == 0 || !earlier[len(earlier)-1].Complete)
		return s.insertShipment(ctx, q, stored)
	})
	if err != nil {
		return ShipmentRecord{}, err
	}
	return stored, nil
}

func (s *Store) insertShipment(ctx context.Context, q queryer, r ShipmentRecord) error {
	document, err := json.Marshal(r.Shipment)
	if err != nil {
		return failed(err, "encode shipment", r.Shipment.Number)
	}
	_, err = q.exec(ctx, `INSERT INTO shipments (order_id, number, sequence, document, currency, share, complete, recorded_at)
		VALUES `+in(8), r.OrderID, r.Shipment.Number, r.Sequence, string(document), r.Share.Currency, r.Share.Amount, r.Complete,
		toInstant(r.RecordedAt))
	return failed(err, "record shipment", r.Shipment.Number)
}

// updateShipment takes over what is told of a shipment only later.
func (s *Store) updateShipment(ctx context.Context, q queryer, r *ShipmentRecord, told canonical.Shipment) error {
	before := r.Shipment
	set(&r.Shipment.Carrier, told.Carrier)
	set(&r.Shipment.Tracking, told.Tracking)
	set(&r.Shipment.Invoice, told.Invoice)
	if r.Shipment.Carrier == before.Carrier && r.Shipment.Tracking == before.Tracking && r.Shipment.Invoice == before.Invoice {
		return nil
	}
	document, err := json.Marshal(r.Shipment)
	if err != nil {
		return failed(err, "encode shipment", told.Number)
	}
	_, err = q.exec(ctx, `UPDATE shipments SET document = ? WHERE order_id = ? AND number = ?`, string(document), r.OrderID, told.Number)
	return failed(err, "record shipment", told.Number)
}

// Shipments gives an order's shipments, the first one first.
func (s *Store) Shipments(ctx context.Context, orderID string) ([]ShipmentRecord, error) {
	return s.shipmentsOf(ctx, s.db.read(), orderID)
}

func (s *Store) shipmentsOf(ctx context.Context, q queryer, orderID string) ([]ShipmentRecord, error) {
	var rows []shipmentRow
	err := q.list(ctx, &rows, `SELECT order_id, sequence, document, currency, share, complete, recorded_at FROM shipments
		WHERE order_id = ? ORDER BY sequence`, orderID)
	if err != nil {
		return nil, failed(err, "read shipments of order", orderID)
	}
	records, err := convert(rows, shipmentRow.record)
	for i := range records {
		records[i].Final = records[i].Complete && (i == 0 || !records[i-1].Complete)
	}
	return records, err
}

// shipmentRow is a shipment as the table has it.
type shipmentRow struct {
	OrderID    string          `db:"order_id"`
	Sequence   int             `db:"sequence"`
	Document   string          `db:"document"`
	Currency   string          `db:"currency"`
	Share      decimal.Decimal `db:"share"`
	Complete   bool            `db:"complete"`
	RecordedAt instant         `db:"recorded_at"`
}

func (row shipmentRow) record() (ShipmentRecord, error) {
	record := ShipmentRecord{
		OrderID: row.OrderID, Sequence: row.Sequence, Share: canonical.NewMoney(row.Share, row.Currency), Complete: row.Complete,
		RecordedAt: row.RecordedAt.time(),
	}
	return record, failed(json.Unmarshal([]byte(row.Document), &record.Shipment), "read shipment of order", row.OrderID)
}

// StockLevel is the free quantity of a stock code, as an ERP last told it.
type StockLevel struct {
	Erp       string
	Code      string
	Warehouse string // "": the ERP tells none
	Available decimal.Decimal
	At        time.Time // by the ERP's clock
	UpdatedAt time.Time // when the journal learned it
}

// PutStock keeps free quantities, and gives those that are not what was known before, new ones among them. What is older than what is known
// changes nothing.
func (s *Store) PutStock(ctx context.Context, levels ...StockLevel) (changed []StockLevel, err error) {
	err = s.db.transact(ctx, func(q queryer) error {
		changed = nil
		for _, level := range levels {
			differs, err := s.putStock(ctx, q, level)
			if err != nil {
				return failed(err, "keep stock of", level.Code)
			}
			if differs {
				changed = append(changed, level)
			}
		}
		return nil
	})
	return changed, err
}

func (s *Store) putStock(ctx context.Context, q queryer, level StockLevel) (differs bool, err error) {
	var before []decimal.Decimal
	err = q.list(ctx, &before, `SELECT available FROM stock WHERE erp = ? AND code = ? AND warehouse = ?`+q.dialect.forUpdate,
		level.Erp, level.Code, level.Warehouse)
	if err != nil {
		return false, err
	}
	written, err := q.exec(ctx, `INSERT INTO stock (`+stockColumns+`) VALUES `+in(6)+` ON CONFLICT (erp, code, warehouse) DO UPDATE SET
		available = excluded.available, at = excluded.at, updated_at = excluded.updated_at WHERE stock.at <= excluded.at`,
		level.Erp, level.Code, level.Warehouse, level.Available, toInstant(level.At), s.now())
	return written == 1 && (len(before) == 0 || !before[0].Equal(level.Available)), err
}

// Stock gives the last known free quantities of stock codes (all, if none is given), by code, ERP and warehouse.
func (s *Store) Stock(ctx context.Context, codes ...string) ([]StockLevel, error) {
	var where conditions
	if len(codes) > 0 {
		where.addList(`code IN `, codes)
	}
	var rows []struct {
		Erp       string          `db:"erp"`
		Code      string          `db:"code"`
		Warehouse string          `db:"warehouse"`
		Available decimal.Decimal `db:"available"`
		At        instant         `db:"at"`
		UpdatedAt instant         `db:"updated_at"`
	}
	err := s.db.read().list(ctx, &rows, `SELECT `+stockColumns+` FROM stock`+where.text()+` ORDER BY code, erp, warehouse LIMIT ?`,
		append(where.args, maxStock)...)
	if err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	levels := make([]StockLevel, 0, len(rows))
	for _, row := range rows {
		levels = append(levels, StockLevel{
			Erp: row.Erp, Code: row.Code, Warehouse: row.Warehouse, Available: row.Available, At: row.At.time(), UpdatedAt: row.UpdatedAt.time(),
		})
	}
	return levels, nil
}

const stockColumns = `erp, code, warehouse, available, at, updated_at`

// maxStock bounds a list of stock.
const maxStock = 10_000
