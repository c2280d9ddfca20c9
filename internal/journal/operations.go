package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// OperationState says what is known of an operation.
type OperationState string

// The states; the last three are final.
const (
	OperationIntent    OperationState = "intent"    // about to be sent, or sent by a process that died
	OperationUnknown   OperationState = "unknown"   // sent, and no answer told what became of it
	OperationSucceeded OperationState = "succeeded" // done outside
	OperationRefused   OperationState = "refused"   // the other side said no
	OperationAbsent    OperationState = "absent"    // proven not to exist outside: a new business attempt may open
)

// Final tells whether the outcome is known.
func (s OperationState) Final() bool {
	return s == OperationSucceeded || s == OperationRefused || s == OperationAbsent
}

// Operation is one mutation of a system outside. Key to Related are given and never change; the rest is the journal's.
type Operation struct {
	Key       string          // <process>:<businessId>:<step>:<n>
	System    string          // "cybersource", "erp-syspro", ...
	Kind      string          // what it does, in the adapter's words: "capture", "sales_order", ...
	OrderID   string          // may be empty
	InputHash string          // of the business input: the same key with another input is an error
	Reference string          // what a look-up finds it by: clientReferenceInformation.code, or the ERP reference
	Guard     string          // transactionId, where the gateway refuses duplicates by it
	Amount    canonical.Money // zero where no money moves
	Request   []byte          // the exact bytes to send, sealed at rest
	Merchant  string          // whose money moves, where the gateway account has several merchants
	Related   string          // the transaction outside that it follows on: of a void or refund its capture

	Effect      Effect // what it does to the payment; set by BeginPayment
	State       OperationState
	OutsideID   string // id of what it made outside
	Outcome     []byte // the typed result as stored by the caller, sealed at rest
	Detail      string // why it is unknown, sealed at rest
	Sends       int    // how often it may have been sent: 0 only where no connection was ever made
	FirstSentAt time.Time
	LastSentAt  time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time
	SettledOn   string // settlement date, YYYY-MM-DD; "" while no report has shown it
	BatchID     string // of that report
}

// Operations is the journal of operations and the audit of what was done outside. It is safe for concurrent use.
type Operations struct{ journal }

// Check tells whether the database answers and has the tables that this program needs.
func (o *Operations) Check(ctx context.Context) error { return o.db.check(ctx, operationTables) }

const operationColumns = `operation_key, system, kind, effect, order_id, input_hash, reference, guard, amount, currency, request,
	state, outside_id, outcome, detail, sends, first_sent_at, last_sent_at, created_at, updated_at, merchant, related, settled_on, batch_id`

// open: what may still happen, or have happened, outside.
const isOpen = `state IN ('intent', 'unknown')`

// Begin commits the operation as an intent that is sent now (Sends 1), before it is sent. If the key exists it gives the
// stored operation and fresh=false: send nothing before its state was looked at. Another input under the same key is
// ErrInputDiffers.
func (o *Operations) Begin(ctx context.Context, op Operation) (stored Operation, fresh bool, err error) {
	op.Effect = ""
	return o.begin(ctx, o.db.write(), op)
}

func (o *Operations) begin(ctx context.Context, q queryer, op Operation) (Operation, bool, error) {
	row, err := o.intent(op)
	if err != nil {
		return Operation{}, false, err
	}
	inserted, err := q.exec(ctx, `INSERT INTO operations (`+operationColumns+`) VALUES `+in(24)+`
		ON CONFLICT (operation_key) DO NOTHING`,
		row.Key, row.System, row.Kind, row.Effect, row.OrderID, row.InputHash, row.Reference, row.Guard, row.Amount, row.Currency,
		row.Request, row.State, row.OutsideID, row.Outcome, row.Detail, row.Sends, row.FirstSentAt, row.LastSentAt,
		row.CreatedAt, row.UpdatedAt, row.Merchant, row.Related, "", "")
	if err != nil {
		return Operation{}, false, failed(err, "begin operation", op.Key)
	}
	if inserted == 0 {
		stored, err := o.same(ctx, q, op)
		return stored, false, err
	}
	stored, err := o.operation(row)
	return stored, true, err
}

// same gives the stored operation of a key, if it is the same one.
func (o *Operations) same(ctx context.Context, q queryer, op Operation) (Operation, error) {
	stored, err := o.get(ctx, q, op.Key)
	if err != nil {
		return Operation{}, err
	}
	if stored.InputHash != op.InputHash {
		return stored, fmt.Errorf("operation %q: %w", op.Key, ErrInputDiffers)
	}
	return stored, nil
}

// Resend commits that the same bytes are sent again now. Call it before sending; on ErrConcluded don't send.
func (o *Operations) Resend(ctx context.Context, key string) error {
	now := o.now()
	return o.change(ctx, o.db.write(), key, `sends = sends + 1, last_sent_at = ?,
		first_sent_at = CASE WHEN first_sent_at = 0 OR sends = 0 THEN ? ELSE first_sent_at END, updated_at = ?`, now, now, now)
}

// NotSent takes back the last send, whose connection was never made: with Sends 0 a retry needs no look-up.
func (o *Operations) NotSent(ctx context.Context, key string) error {
	return o.change(ctx, o.db.write(), key, `sends = CASE WHEN sends > 0 THEN sends - 1 ELSE 0 END, updated_at = ?`, o.now())
}

// Unknown records that no answer told what became of it; detail says why. A payment operation keeps its reservation.
func (o *Operations) Unknown(ctx context.Context, key, detail string) error {
	return o.unknown(ctx, o.db.write(), key, detail)
}

func (o *Operations) unknown(ctx context.Context, q queryer, key, detail string) error {
	sealed, err := o.seal([]byte(detail), "operations", "detail", key)
	if err != nil {
		return err
	}
	return o.change(ctx, q, key, `state = 'unknown', detail = ?, updated_at = ?`, sealed, o.now())
}

// change sets columns of an operation that is not concluded.
func (o *Operations) change(ctx context.Context, q queryer, key, set string, args ...any) error {
	changed, err := q.exec(ctx, `UPDATE operations SET `+set+` WHERE operation_key = ? AND `+isOpen, append(args, key)...)
	if err != nil {
		return failed(err, "change operation", key)
	}
	if changed == 1 {
		return nil
	}
	if _, err := o.get(ctx, q, key); err != nil {
		return err
	}
	return fmt.Errorf("operation %q: %w", key, ErrConcluded)
}

// Succeed stores the outcome. outsideID is the id of what the operation itself made outside, unique in its system and kind
// (ErrOutsideIDTaken); leave it empty where it made nothing of its own, as a status change does. Repeating it changes nothing.
func (o *Operations) Succeed(ctx context.Context, key, outsideID string, outcome []byte) error {
	return o.conclude(ctx, o.db.write(), key, false, conclusion{OperationSucceeded, outsideID, outcome})
}

// Refuse stores the other side's final no. Repeating it changes nothing.
func (o *Operations) Refuse(ctx context.Context, key string, outcome []byte) error {
	return o.conclude(ctx, o.db.write(), key, false, conclusion{OperationRefused, "", outcome})
}

// Absent records that the operation is proven not to exist outside. Repeating it changes nothing.
func (o *Operations) Absent(ctx context.Context, key string) error {
	return o.conclude(ctx, o.db.write(), key, false, conclusion{OperationAbsent, "", nil})
}

// conclusion is a final state with what belongs to it.
type conclusion struct {
	state     OperationState
	outsideID string
	outcome   []byte
}

// conclude stores a final state once. payment says whether the caller takes care of the payment too.
func (o *Operations) conclude(ctx context.Context, q queryer, key string, payment bool, c conclusion) error {
	outcome, err := o.seal(c.outcome, "operations", "outcome", key)
	if err != nil {
		return err
	}
	changed, err := q.exec(ctx, `UPDATE operations SET state = ?, outside_id = ?, outcome = ?, updated_at = ?
		WHERE operation_key = ? AND `+isOpen+` AND (effect <> '') = ?`, c.state, c.outsideID, outcome, o.now(), key, payment)
	switch {
	case err != nil && violatesUnique(err):
		return fmt.Errorf("operation %q, outside id %q: %w", key, c.outsideID, ErrOutsideIDTaken)
	case err != nil:
		return failed(err, "conclude operation", key)
	case changed == 1:
		return nil
	}
	stored, err := o.get(ctx, q, key)
	if err != nil {
		return err
	}
	return stored.repeats(c, payment)
}

// repeats tells whether a conclusion that changed nothing is the one already stored.
func (op Operation) repeats(c conclusion, payment bool) error {
	switch {
	case (op.Effect != "") != payment:
		return fmt.Errorf("operation %q: %w", op.Key, ErrPaymentOperation)
	case op.State == c.state && op.OutsideID == c.outsideID:
		return nil
	default:
		return fmt.Errorf("operation %q is %s: %w", op.Key, op.State, ErrConcluded)
	}
}

// Get gives an operation, ErrNotFound if there is none of the key.
func (o *Operations) Get(ctx context.Context, key string) (Operation, error) {
	return o.get(ctx, o.db.read(), key)
}

func (o *Operations) get(ctx context.Context, q queryer, key string) (Operation, error) {
	var row operationRow
	err := q.get(ctx, &row, `SELECT `+operationColumns+` FROM operations WHERE operation_key = ?`, key)
	if err := found(err, "operation", key); err != nil {
		return Operation{}, err
	}
	return o.operation(row)
}

// ByOrder gives the operations of an order, oldest first.
func (o *Operations) ByOrder(ctx context.Context, orderID string) ([]Operation, error) {
	return o.where(ctx, `order_id = ?`, orderID)
}

// ByOutsideID gives the operations that made a thing outside: at most one for a gateway transaction; for an ERP, at most
// one of each kind.
func (o *Operations) ByOutsideID(ctx context.Context, system, outsideID string) ([]Operation, error) {
	return o.where(ctx, `system = ? AND outside_id = ? AND outside_id <> ''`, system, outsideID)
}

// Unresolved gives operations of a system (all if empty) that were last sent before a time and whose outcome is not known.
func (o *Operations) Unresolved(ctx context.Context, system string, before time.Time, limit int) ([]Operation, error) {
	return o.where(ctx, isOpen+` AND last_sent_at < ? AND (system = ? OR ? = '') AND sends > 0`,
		toInstant(before), system, system, limited(limit))
}

// where reads operations by a condition; a limit, the last of the arguments, is optional.
func (o *Operations) where(ctx context.Context, condition string, args ...any) ([]Operation, error) {
	query := `SELECT ` + operationColumns + ` FROM operations WHERE ` + condition + ` ORDER BY created_at, operation_key`
	if _, ok := args[len(args)-1].(limited); ok {
		query += ` LIMIT ?`
	}
	var rows []operationRow
	if err := o.db.read().list(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read operations: %w", err)
	}
	return convert(rows, o.operation)
}

// limited is the most rows that a query gives.
type limited int

// operationRow is an operation as the table has it.
type operationRow struct {
	Key         string          `db:"operation_key"`
	System      string          `db:"system"`
	Kind        string          `db:"kind"`
	Effect      Effect          `db:"effect"`
	OrderID     string          `db:"order_id"`
	InputHash   string          `db:"input_hash"`
	Reference   string          `db:"reference"`
	Guard       string          `db:"guard"`
	Amount      decimal.Decimal `db:"amount"`
	Currency    string          `db:"currency"`
	Request     []byte          `db:"request"`
	State       OperationState  `db:"state"`
	OutsideID   string          `db:"outside_id"`
	Outcome     []byte          `db:"outcome"`
	Detail      []byte          `db:"detail"`
	Sends       int             `db:"sends"`
	FirstSentAt instant         `db:"first_sent_at"`
	LastSentAt  instant         `db:"last_sent_at"`
	CreatedAt   instant         `db:"created_at"`
	UpdatedAt   instant         `db:"updated_at"`
	Merchant    string          `db:"merchant"`
	Related     string          `db:"related"`
	SettledOn   string          `db:"settled_on"`
	BatchID     string          `db:"batch_id"`
}

// intent is the row of an operation that is about to be sent for the first time.
func (o *Operations) intent(op Operation) (operationRow, error) {
	request, err := o.seal(required(op.Request), "operations", "request", op.Key)
	if err != nil {
		return operationRow{}, err
	}
	now := o.now()
	return operationRow{
		Key: op.Key, System: op.System, Kind: op.Kind, Effect: op.Effect, OrderID: op.OrderID, InputHash: op.InputHash,
		Reference: op.Reference, Guard: op.Guard, Amount: op.Amount.Amount, Currency: op.Amount.Currency, Request: request,
		State: OperationIntent, Sends: 1, FirstSentAt: now, LastSentAt: now, CreatedAt: now, UpdatedAt: now,
		Merchant: op.Merchant, Related: op.Related,
	}, nil
}

func (o *Operations) operation(row operationRow) (Operation, error) {
	request, err := o.unseal(row.Request, "operations", "request", row.Key)
	if err != nil {
		return Operation{}, err
	}
	outcome, err := o.unseal(row.Outcome, "operations", "outcome", row.Key)
	if err != nil {
		return Operation{}, err
	}
	detail, err := o.unseal(row.Detail, "operations", "detail", row.Key)
	if err != nil {
		return Operation{}, err
	}
	return Operation{
		Key: row.Key, System: row.System, Kind: row.Kind, Effect: row.Effect, OrderID: row.OrderID, InputHash: row.InputHash,
		Reference: row.Reference, Guard: row.Guard, Amount: canonical.NewMoney(row.Amount, row.Currency), Request: request,
		State: row.State, OutsideID: row.OutsideID, Outcome: outcome, Detail: string(detail), Sends: row.Sends,
		FirstSentAt: row.FirstSentAt.time(), LastSentAt: row.LastSentAt.time(),
		CreatedAt: row.CreatedAt.time(), UpdatedAt: row.UpdatedAt.time(), Merchant: row.Merchant, Related: row.Related,
		SettledOn: row.SettledOn, BatchID: row.BatchID,
	}, nil
}
