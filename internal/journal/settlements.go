package journal

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
)

var (
	// ErrPostingDiffers tells that the place of a posting, or its reference, is taken by another one.
	ErrPostingDiffers = errors.New("another posting has its place or its reference")
	// ErrFileTooLarge tells that a file is larger than the journal keeps.
	ErrFileTooLarge = errors.New("file is larger than the journal keeps")
)

// SettlementRecord is one merchant's settlement day: the read side of its workflow.
type SettlementRecord struct {
	Merchant, Date string // Date is YYYY-MM-DD
	State          string // as the workflow names it
	Why            string // why it is there, for people
	Actor          string // who brought it there, where somebody did
	Result         []byte // JSON of totals; nil before the reports were read
	Runs           int    // how often the day was begun
	Posted         bool   // something of it is in the general ledger, whatever the state
	Files          []SettlementFileInfo
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// SettlementFileInfo is a file of a settlement day without its content.
type SettlementFileInfo struct {
	Kind      string // "csv", "html"
	Size      int64  // bytes, uncompressed
	WrittenAt time.Time
}

// SettlementProgress brings a settlement day forward. Empty fields leave what is stored, but for Why and Actor, which go with State.
type SettlementProgress struct {
	Merchant, Date    string
	State, Why, Actor string
	Result            []byte
	Reading           Reading // that the result is of; one that is older than the last is not taken
	Run               string  // of the process: one that was not seen before counts as a run
}

// RecordSettlement brings the read model of a day forward. Recording the same again changes nothing. Of a day of which something is posted
// the state never falls back behind that: settlement.DayState.Standing.
func (s *Store) RecordSettlement(ctx context.Context, p SettlementProgress) error {
	place := settlementPlace(p.Merchant, p.Date)
	if _, err := time.Parse(time.DateOnly, p.Date); err != nil {
		return fmt.Errorf("settlement %q: the date has to be YYYY-MM-DD", place)
	}
	err := s.db.transact(ctx, func(q queryer) error { return s.recordSettlement(ctx, q, p) })
	return failed(err, "record settlement", place)
}

func (s *Store) recordSettlement(ctx context.Context, q queryer, p SettlementProgress) error {
	// The row is locked before its postings are looked at, so that one that is recorded meanwhile is seen, or sees the state.
	if _, err := lockSettlement(ctx, q, p.Merchant, p.Date); err != nil {
		return err
	}
	posted, err := settlementPosted(ctx, q, p.Merchant, p.Date)
	if err != nil {
		return err
	}
	now, first := s.now(), 0
	if p.Run != "" {
		first = 1
	}
	state := settlement.DayState(p.State).Standing(posted)
	accounted := 0
	if settlement.DayState(p.State) == settlement.DayPosted { // the run itself: not one that was given up after an earlier one
		accounted = 1
	}
	_, err = q.exec(ctx, `INSERT INTO settlements (`+settlementColumns+`, last_run, reading, posted_reading) VALUES `+in(12)+`
		ON CONFLICT (merchant, date) DO UPDATE SET
			why = CASE WHEN excluded.state = '' THEN settlements.why ELSE excluded.why END,
			actor = CASE WHEN excluded.state = '' THEN settlements.actor ELSE excluded.actor END,
			state = CASE WHEN excluded.state = '' THEN settlements.state ELSE excluded.state END,
			result = CASE WHEN excluded.result = '' OR excluded.reading > 0 AND excluded.reading < settlements.reading THEN settlements.result
				ELSE excluded.result END,
			runs = settlements.runs + CASE WHEN excluded.last_run IN ('', settlements.last_run) THEN 0 ELSE 1 END,
			last_run = CASE WHEN excluded.last_run = '' THEN settlements.last_run ELSE excluded.last_run END,
			reading = CASE WHEN excluded.reading < settlements.reading THEN settlements.reading ELSE excluded.reading END,
			posted_reading = CASE WHEN ? = 1 THEN settlements.reading ELSE settlements.posted_reading END,
			updated_at = excluded.updated_at`,
		p.Merchant, p.Date, state, redact(p.Why), redact(p.Actor), string(p.Result), first, now, now, p.Run, p.Reading, 0, accounted)
	return err
}

// lockSettlement locks a day's row and gives its state; "" where there is none.
func lockSettlement(ctx context.Context, q queryer, merchant, date string) (settlement.DayState, error) {
	var state settlement.DayState
	err := q.get(ctx, &state, `SELECT state FROM settlements WHERE merchant = ? AND date = ?`+q.dialect.forUpdate, merchant, date)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return state, err
}

// settlementPosted tells whether anything of a day is in the general ledger, by us or by hand.
func settlementPosted(ctx context.Context, q queryer, merchant, date string) (posted bool, err error) {
	err = q.get(ctx, &posted, `SELECT EXISTS (SELECT 1 FROM settlement_postings WHERE merchant = ? AND date = ?)`, merchant, date)
	return posted, err
}

// Reading numbers a reading of a day's reports: later ones are higher.
type Reading int64

// NextReading gives the number of a reading that begins now. It is above that of every one that came to its end.
func (s *Store) NextReading(ctx context.Context, merchant, date string) (Reading, error) {
	var last Reading
	err := s.db.read().get(ctx, &last, `SELECT reading FROM settlements WHERE merchant = ? AND date = ?`, merchant, date)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, failed(err, "number a reading of", settlementPlace(merchant, date))
	}
	return max(Reading(s.now()), last+1), nil
}

func settlementPlace(merchant, date string) string { return merchant + "/" + date }

// SettlementDay gives a settlement day, ErrNotFound if it was never begun.
func (s *Store) SettlementDay(ctx context.Context, merchant, date string) (SettlementRecord, error) {
	var row settlementRow
	err := s.db.read().get(ctx, &row, `SELECT `+shownSettlement+` FROM settlements WHERE merchant = ? AND date = ?`, merchant, date)
	if err := found(err, "settlement", settlementPlace(merchant, date)); err != nil {
		return SettlementRecord{}, err
	}
	record := row.record()
	record.Files, err = s.settlementFiles(ctx, merchant, date)
	return record, err
}

// CheckedDays gives the days of a date that have no record, since nothing but a dry run has looked at them, but the report that it made. merchant
// "" is all of them.
func (s *Store) CheckedDays(ctx context.Context, merchant, date string) ([]SettlementRecord, error) {
	var merchants []string
	err := s.db.read().list(ctx, &merchants, `SELECT DISTINCT merchant FROM settlement_files f WHERE date = ? AND (? = '' OR merchant = ?)
		AND NOT EXISTS (SELECT 1 FROM settlements s WHERE s.merchant = f.merchant AND s.date = f.date) ORDER BY merchant`, date, merchant, merchant)
	if err != nil {
		return nil, failed(err, "look for dry runs of", settlementPlace(merchant, date))
	}
	var days []SettlementRecord
	for _, merchant := range merchants {
		day := SettlementRecord{Merchant: merchant, Date: date, State: string(settlement.DayChecked), Why: "a dry run has made its report"}
		if day.Files, err = s.settlementFiles(ctx, merchant, date); err != nil {
			return nil, err
		}
		for _, file := range day.Files {
			if file.WrittenAt.After(day.UpdatedAt) {
				day.CreatedAt, day.UpdatedAt = file.WrittenAt, file.WrittenAt
			}
		}
		days = append(days, day)
	}
	return days, nil
}

// SettlementFilter says which settlement days a list holds. Zero fields don't narrow it.
type SettlementFilter struct {
	Merchant string
	State    string
	From, To string // dates, both inclusive
	Limit    int    // default 50, at most 500
	Cursor   string // of the page before
}

// SettlementDays lists settlement days without their files, the latest first. next is the cursor of the next page, "" after the last one.
func (s *Store) SettlementDays(ctx context.Context, filter SettlementFilter) (page []SettlementRecord, next string, err error) {
	where, err := filter.conditions()
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(filter.Limit)
	var rows []settlementRow
	err = s.db.read().list(ctx, &rows, `SELECT `+shownSettlement+` FROM settlements`+where.text()+`
		ORDER BY date DESC, merchant LIMIT ?`, append(where.args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list settlements: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(0, rows[limit-1].Date+"/"+rows[limit-1].Merchant)
	}
	page = make([]SettlementRecord, 0, len(rows))
	for _, row := range rows {
		page = append(page, row.record())
	}
	return page, next, nil
}

func (f SettlementFilter) conditions() (conditions, error) {
	var where conditions
	if f.Merchant != "" {
		where.add(`merchant = ?`, f.Merchant)
	}
	if f.State != "" {
		where.add(`state = ?`, f.State)
	}
	if f.From != "" {
		where.add(`date >= ?`, f.From)
	}
	if f.To != "" {
		where.add(`date <= ?`, f.To)
	}
	if f.Cursor != "" {
		_, id, err := parseCursor(f.Cursor)
		if err != nil {
			return where, err
		}
		date, merchant, fine := strings.Cut(id, "/")
		if !fine {
			return where, ErrCursor
		}
		where.add(`(date < ? OR (date = ? AND merchant > ?))`, date, date, merchant)
	}
	return where, nil
}

const (
	settlementColumns = `merchant, date, state, why, actor, result, runs, created_at, updated_at`
	shownSettlement   = settlementColumns + `, EXISTS (SELECT 1 FROM settlement_postings p
		WHERE p.merchant = settlements.merchant AND p.date = settlements.date) AS posted`
)

// settlementRow is a settlement day as the table has it.
type settlementRow struct {
	Merchant  string  `db:"merchant"`
	Date      string  `db:"date"`
	State     string  `db:"state"`
	Why       string  `db:"why"`
	Actor     string  `db:"actor"`
	Result    string  `db:"result"`
	Runs      int     `db:"runs"`
	CreatedAt instant `db:"created_at"`
	UpdatedAt instant `db:"updated_at"`
	Posted    bool    `db:"posted"`
}

func (row settlementRow) record() SettlementRecord {
	record := SettlementRecord{
		Merchant: row.Merchant, Date: row.Date, State: row.State, Why: row.Why, Actor: row.Actor, Runs: row.Runs, Posted: row.Posted,
		CreatedAt: row.CreatedAt.time(), UpdatedAt: row.UpdatedAt.time(),
	}
	if row.Result != "" {
		record.Result = []byte(row.Result)
	}
	return record
}

// MaxSettlementFile is how many bytes of a file the journal keeps, compressed.
const MaxSettlementFile = 16 << 20

// PutSettlementFile keeps a file of a settlement day, in place of the one of its kind ("csv", "html") that was there. It is compressed while
// it is read; beyond MaxSettlementFile it is ErrFileTooLarge, and what was there stays.
func (s *Store) PutSettlementFile(ctx context.Context, merchant, date, kind string, content io.Reader) error {
	place := settlementPlace(merchant, date) + "/" + kind
	packed := bounded{most: MaxSettlementFile}
	zip := gzip.NewWriter(&packed)
	size, err := io.Copy(zip, content)
	if err = errors.Join(err, zip.Close()); err != nil {
		return failed(err, "keep file", place)
	}
	sealed, err := s.seal(packed.Bytes(), "settlement_files", "content", place)
	if err != nil {
		return err
	}
	_, err = s.db.write().exec(ctx, `INSERT INTO settlement_files (merchant, date, kind, content, size, written_at) VALUES `+in(6)+`
		ON CONFLICT (merchant, date, kind) DO UPDATE SET content = excluded.content, size = excluded.size, written_at = excluded.written_at`,
		merchant, date, kind, sealed, size, s.now())
	return failed(err, "keep file", place)
}

// bounded is a buffer that refuses to grow too large.
type bounded struct {
	bytes.Buffer
	most int
}

// Write adds to the buffer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, ErrFileTooLarge
	}
	return b.Buffer.Write(p)
}

// SettlementFile opens a file of a settlement day, ErrNotFound if there is none of the kind. It is to be closed.
func (s *Store) SettlementFile(ctx context.Context, merchant, date, kind string) (io.ReadCloser, error) {
	place := settlementPlace(merchant, date) + "/" + kind
	var sealed []byte
	err := s.db.read().get(ctx, &sealed, `SELECT content FROM settlement_files WHERE merchant = ? AND date = ? AND kind = ?`, merchant, date, kind)
	if err := found(err, "file", place); err != nil {
		return nil, err
	}
	packed, err := s.unseal(sealed, "settlement_files", "content", place)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, failed(err, "open file", place)
	}
	return unpacked, nil
}

func (s *Store) settlementFiles(ctx context.Context, merchant, date string) ([]SettlementFileInfo, error) {
	var rows []struct {
		Kind      string  `db:"kind"`
		Size      int64   `db:"size"`
		WrittenAt instant `db:"written_at"`
	}
	err := s.db.read().list(ctx, &rows, `SELECT kind, size, written_at FROM settlement_files WHERE merchant = ? AND date = ? ORDER BY kind`,
		merchant, date)
	if err != nil {
		return nil, failed(err, "list files of settlement", settlementPlace(merchant, date))
	}
	var files []SettlementFileInfo
	for _, row := range rows {
		files = append(files, SettlementFileInfo{Kind: row.Kind, Size: row.Size, WrittenAt: row.WrittenAt.time()})
	}
	return files, nil
}

// Posting is what of one currency's day is in the general ledger. Sequence 0 is the day's journal, n its n-th correction.
type Posting struct {
	Merchant, Date, Currency string
	Sequence                 int
	Entry                    *canonical.JournalEntry // as it was posted; nil: no journal was
	Number                   string                  // of the journal in the ERP
	Warning                  string                  // what the ERP, or the posting date, had to say
	ByHand                   *settlement.HandBooking // who booked the journal, where it was not us
	Invoice                  *PostedInvoice          // of the processor's fees; nil: none was
	PostedAt                 time.Time               // default: now
}

// PostedInvoice is an AP invoice that was posted.
type PostedInvoice struct {
	Supplier string          `json:"supplier"`
	Number   string          `json:"number"` // ours
	Amount   canonical.Money `json:"amount"`
	Document string          `json:"document"` // the ERP's number
	Warning  string          `json:"warning,omitempty"`

	Distribution []canonical.SettlementLine `json:"distribution,omitempty"` // by category: what a correction is held against
	ByHand       *settlement.HandBooking    `json:"byHand,omitempty"`       // who booked it, where it was not us
}

// RecordPosting keeps what is in the general ledger, posted by us or booked by hand. The day's state follows, where it said that nothing is. The same posting again changes nothing, but adds a journal or an invoice where there was none;
// another one in its place, or with its reference, is ErrPostingDiffers.
func (s *Store) RecordPosting(ctx context.Context, posting Posting) error {
	row, err := s.newPosting(posting)
	if err != nil {
		return err
	}
	err = s.db.transact(ctx, func(q queryer) error {
		state, err := lockSettlement(ctx, q, row.Merchant, row.Date)
		if err != nil {
			return err
		}
		_, err = q.exec(ctx, `INSERT INTO settlement_postings (`+postingColumns+`, reading) VALUES `+postingValues+`
			ON CONFLICT (merchant, date, currency, sequence) DO UPDATE SET
				reading = excluded.reading,
				by_hand = CASE WHEN settlement_postings.reference = '' THEN excluded.by_hand ELSE settlement_postings.by_hand END,
				number = CASE WHEN settlement_postings.reference = '' THEN excluded.number ELSE settlement_postings.number END,
				warning = CASE WHEN settlement_postings.reference = '' THEN excluded.warning ELSE settlement_postings.warning END,
				entry = CASE WHEN settlement_postings.reference = '' THEN excluded.entry ELSE settlement_postings.entry END,
				document = CASE WHEN settlement_postings.invoice = '' THEN excluded.document ELSE settlement_postings.document END,
				reference = CASE WHEN settlement_postings.reference = '' THEN excluded.reference ELSE settlement_postings.reference END,
				invoice = CASE WHEN settlement_postings.invoice = '' THEN excluded.invoice ELSE settlement_postings.invoice END`,
			row.Merchant, row.Date, row.Currency, row.Sequence, row.Reference, row.Entry, row.Number, row.Warning, row.Invoice,
			row.Document, row.PostedAt, row.ByHand, row.Merchant, row.Date)
		if violatesUnique(err) {
			return ErrPostingDiffers
		}
		if err != nil {
			return err
		}
		var stored postingRow
		err = q.get(ctx, &stored, `SELECT `+postingColumns+` FROM settlement_postings
			WHERE merchant = ? AND date = ? AND currency = ? AND sequence = ?`, row.Merchant, row.Date, row.Currency, row.Sequence)
		if err != nil {
			return err
		}
		if err := stored.holds(row); err != nil || state == state.Standing(true) {
			return err
		}
		_, err = q.exec(ctx, `UPDATE settlements SET state = ? WHERE merchant = ? AND date = ?`, state.Standing(true), row.Merchant, row.Date)
		return err
	})
	return failed(err, "record posting of", fmt.Sprintf("%s/%s/%d", settlementPlace(posting.Merchant, posting.Date), posting.Currency, posting.Sequence))
}

// holds tells whether a stored posting has all that was to be recorded.
func (row postingRow) holds(other postingRow) error {
	journal := other.Reference == "" || row.Reference == other.Reference && row.Entry == other.Entry
	invoice := other.Invoice == "" || row.Invoice == other.Invoice
	if !journal || !invoice {
		return ErrPostingDiffers
	}
	return nil
}

func (s *Store) newPosting(p Posting) (postingRow, error) {
	row := postingRow{
		Merchant: p.Merchant, Date: p.Date, Currency: p.Currency, Sequence: p.Sequence, Number: p.Number, Warning: redact(p.Warning), PostedAt: s.now(),
	}
	if !p.PostedAt.IsZero() {
		row.PostedAt = toInstant(p.PostedAt)
	}
	if p.Entry != nil {
		entry, err := json.Marshal(p.Entry)
		if err != nil {
			return row, fmt.Errorf("encode posting: %w", err)
		}
		row.Reference, row.Entry = p.Entry.Reference, string(entry)
	}
	var err error
	if row.ByHand, err = handBooking(p.ByHand); err != nil {
		return row, err
	}
	if p.Invoice != nil {
		invoice := *p.Invoice
		invoice.ByHand = redacted(invoice.ByHand)
		document, err := json.Marshal(invoice)
		if err != nil {
			return row, fmt.Errorf("encode posting: %w", err)
		}
		row.Invoice, row.Document = p.Invoice.Number, string(document)
	}
	return row, nil
}

// redacted is what is kept of who booked by hand: people wrote it.
func redacted(by *settlement.HandBooking) *settlement.HandBooking {
	if by == nil {
		return nil
	}
	return &settlement.HandBooking{Actor: redact(by.Actor), Reason: redact(by.Reason), Reference: redact(by.Reference), At: by.At.UTC()}
}

func handBooking(by *settlement.HandBooking) (string, error) {
	if by == nil {
		return "", nil
	}
	text, err := json.Marshal(redacted(by))
	return string(text), failed(err, "encode booking by", by.Actor)
}

// Postings gives what of a day is in the general ledger, by currency and sequence.
func (s *Store) Postings(ctx context.Context, merchant, date string) ([]Posting, error) {
	var rows []postingRow
	err := s.db.read().list(ctx, &rows, `SELECT `+postingColumns+` FROM settlement_postings WHERE merchant = ? AND date = ?
		ORDER BY currency, sequence`, merchant, date)
	if err != nil {
		return nil, failed(err, "read postings of settlement", settlementPlace(merchant, date))
	}
	return convert(rows, postingRow.posting)
}

const postingColumns = `merchant, date, currency, sequence, reference, entry, number, warning, invoice, document, posted_at, by_hand`

// postingValues ends with the reading that the posting was planned from: the last of the day, which no run has begun anew before it posted.
var postingValues = strings.TrimSuffix(in(12), ")") + `, COALESCE((SELECT reading FROM settlements WHERE merchant = ? AND date = ?), 0))`

// postingRow is a posting as the table has it.
type postingRow struct {
	Merchant  string  `db:"merchant"`
	Date      string  `db:"date"`
	Currency  string  `db:"currency"`
	Sequence  int     `db:"sequence"`
	Reference string  `db:"reference"`
	Entry     string  `db:"entry"`
	Number    string  `db:"number"`
	Warning   string  `db:"warning"`
	Invoice   string  `db:"invoice"`
	Document  string  `db:"document"`
	PostedAt  instant `db:"posted_at"`
	ByHand    string  `db:"by_hand"`
}

func (row postingRow) posting() (Posting, error) {
	posting := Posting{
		Merchant: row.Merchant, Date: row.Date, Currency: row.Currency, Sequence: row.Sequence, Number: row.Number, Warning: row.Warning,
		PostedAt: row.PostedAt.time(),
	}
	var err error
	if row.Entry != "" {
		err = errors.Join(err, json.Unmarshal([]byte(row.Entry), &posting.Entry))
	}
	if row.ByHand != "" {
		err = errors.Join(err, json.Unmarshal([]byte(row.ByHand), &posting.ByHand))
	}
	if row.Document != "" {
		err = errors.Join(err, json.Unmarshal([]byte(row.Document), &posting.Invoice))
	}
	return posting, failed(err, "read posting", row.Reference)
}

// PutDayFigures keeps the figures of a merchant's day, each in place of those of its date and currency that were there.
func (s *Store) PutDayFigures(ctx context.Context, merchant string, figures ...settlement.DayFigures) error {
	return s.db.transact(ctx, func(q queryer) error {
		for _, day := range figures {
			document, err := json.Marshal(day)
			if err != nil {
				return failed(err, "encode figures of", settlementPlace(merchant, day.Date))
			}
			_, err = q.exec(ctx, `INSERT INTO settlement_figures (merchant, currency, date, figures) VALUES `+in(4)+`
				ON CONFLICT (merchant, currency, date) DO UPDATE SET figures = excluded.figures`, merchant, day.Currency, day.Date, string(document))
			if err != nil {
				return failed(err, "keep figures of", settlementPlace(merchant, day.Date))
			}
		}
		return nil
	})
}

// DayFigures gives the figures of a merchant's days in one currency from a date on and before another, oldest first.
func (s *Store) DayFigures(ctx context.Context, merchant, currency, from, before string) ([]settlement.DayFigures, error) {
	var rows []string
	err := s.db.read().list(ctx, &rows, `SELECT figures FROM settlement_figures WHERE merchant = ? AND currency = ? AND date >= ? AND date < ?
		ORDER BY date`, merchant, currency, from, before)
	if err != nil {
		return nil, failed(err, "read figures of", merchant)
	}
	return convert(rows, func(text string) (day settlement.DayFigures, err error) {
		return day, failed(json.Unmarshal([]byte(text), &day), "read figures of", merchant)
	})
}

// MostRefunded gives the customers and card tokens with the most refunds that a day has settled in a currency, at most limit of each. They
// are named by opaque references.
func (s *Store) MostRefunded(ctx context.Context, date, currency string, limit int) ([]settlement.Refunded, error) {
	var refunded []settlement.Refunded
	for _, by := range []struct{ name, column string }{{"customer ", "o.customer_hash"}, {"token ", "p.customer_token"}} {
		most, err := s.mostRefunded(ctx, by.column, date, currency, limit)
		if err != nil {
			return nil, err
		}
		for _, one := range most {
			one.Who = by.name + one.Who
			refunded = append(refunded, one)
		}
	}
	return refunded, nil
}

// mostRefunded counts in the database, and sums the few that it gives in Go, exactly.
func (s *Store) mostRefunded(ctx context.Context, column, date, currency string, limit int) ([]settlement.Refunded, error) {
	var rows []struct {
		Who   string          `db:"who"`
		Moved decimal.Decimal `db:"moved"`
	}
	err := s.db.read().list(ctx, &rows, `WITH refunds AS (
			SELECT `+column+` AS who, x.moved FROM operations x
			JOIN orders o ON o.order_id = x.order_id JOIN payments p ON p.order_id = x.order_id
			WHERE x.settled_on = ? AND x.settled_on <> '' AND x.settles AND x.effect = 'refund' AND x.currency = ? AND `+column+` <> ''),
		most AS (SELECT who, count(*) AS refunds FROM refunds GROUP BY who ORDER BY count(*) DESC, who LIMIT ?)
		SELECT refunds.who, refunds.moved FROM most JOIN refunds ON refunds.who = most.who ORDER BY most.refunds DESC, most.who`,
		date, currency, limit)
	if err != nil {
		return nil, fmt.Errorf("read refunds settled on %s: %w", date, err)
	}
	var most []settlement.Refunded
	for _, row := range rows {
		if len(most) == 0 || most[len(most)-1].Who != row.Who {
			most = append(most, settlement.Refunded{Who: row.Who})
		}
		sum := &most[len(most)-1].Sum
		sum.Count, sum.Amount = sum.Count+1, sum.Amount.Add(row.Moved)
	}
	return most, nil
}
