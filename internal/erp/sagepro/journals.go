package sagepro

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const (
	codeJournal    = "JOURNAL_NOT_FOUND"
	codeAccount    = "ACCOUNT_NOT_FOUND"
	codeHeld       = "ACCOUNT_ON_HOLD"
	codeUnbalanced = "JOURNAL_UNBALANCED"

	batchSource = "CY" // the batches of this adapter, for those who post them
	batchOpen   = "O"  // entered; people post batches to the accounts
)

// batch is a row of glbatch.
type batch struct {
	BatchNo  text   `db:"batchno"`
	Ref      text   `db:"ref"`
	GLYear   whole  `db:"glyear"`
	GLPeriod whole  `db:"glperiod"`
	TotDr    amount `db:"totdr"`
}

const batchColumns = "{glbatch: batchno ref glyear glperiod totdr}"

// FindJournal looks a batch of the general ledger up by the reference we gave it.
func (c *Client) FindJournal(ctx context.Context, reference string) (erp.JournalPosting, error) {
	var posting erp.JournalPosting
	if reference == "" {
		return posting, c.bug("a journal look-up needs a reference")
	}
	err := c.read(ctx, "FindJournal", func(ctx context.Context, q querier) error {
		found, err := q.journal(ctx, reference)
		switch {
		case err != nil:
			return err
		case found == nil:
			return c.notFound(codeJournal, "no batch of the ledger has this reference")
		}
		posting = *found
		return nil
	})
	return posting, err
}

// journal finds a batch by our reference: through cyb_xref, which holds all of it, else by what the batch itself can hold. nil: there is none.
func (q querier) journal(ctx context.Context, reference string) (*erp.JournalPosting, error) {
	condition, argument := "{glbatch.ref} = ?", q.value("glbatch.ref", q.fitted("glbatch", "ref", reference))
	ours, err := q.xrefOf(ctx, entityJournal, reference)
	if err != nil {
		return nil, err
	}
	if ours != nil && ours.ErpKey != "" {
		condition, argument = "{glbatch.batchno} = ?", q.value("glbatch.batchno", ours.ErpKey)
	}
	var held batch
	err = q.get(ctx, &held, "SELECT "+batchColumns+" FROM {glbatch} WHERE "+condition, argument)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // absence is an answer
	}
	if err != nil {
		return nil, err
	}
	posting := &erp.JournalPosting{Reference: reference, Number: string(held.BatchNo), Year: int(held.GLYear), Period: int(held.GLPeriod), Total: held.TotDr.Decimal}
	posting.Lines, err = q.journalLines(ctx, string(held.BatchNo))
	return posting, err
}

// journalLines reads a batch's lines: debits are above zero, credits below.
func (q querier) journalLines(ctx context.Context, number string) ([]canonical.JournalLine, error) {
	var held []struct {
		Account text   `db:"glacnt"`
		Amount  amount `db:"amount"`
	}
	err := q.list(ctx, &held, "SELECT {gltran: glacnt amount} FROM {gltran} WHERE {gltran.batchno} = ? ORDER BY {gltran.seq}", q.value("gltran.batchno", number))
	lines := make([]canonical.JournalLine, 0, len(held))
	for _, line := range held {
		lines = append(lines, canonical.JournalLine{Account: string(line.Account), Debit: decimal.Max(line.Amount.Decimal, decimal.Zero),
			Credit: decimal.Max(line.Amount.Neg(), decimal.Zero)})
	}
	return lines, err
}

// PostJournal enters a balanced batch into the open period of its date. A batch of the same reference is adopted where it moves the same.
func (c *Client) PostJournal(ctx context.Context, key string, entry canonical.JournalEntry) (erp.JournalPosting, error) {
	if err := c.checkJournal(entry); err != nil {
		return erp.JournalPosting{}, err
	}
	return mutate(ctx, c, key, "PostJournal", entry, func(ctx context.Context, t *tx) (erp.JournalPosting, error) {
		debits := decimal.Zero
		for _, line := range entry.Lines {
			debits = debits.Add(line.Debit)
		}
		held, err := t.claim(ctx, entityJournal, entry.Reference, xref{Amount: amount{debits}, CurrID: text(entry.Currency)})
		if err != nil {
			return erp.JournalPosting{}, err
		}
		if held != nil && string(held.CurrID) != entry.Currency {
			return erp.JournalPosting{}, c.different("a journal of this reference exists in another currency")
		}
		posting, err := t.journal(ctx, entry.Reference)
		switch {
		case err != nil:
			return erp.JournalPosting{}, err
		case posting == nil && held != nil:
			return erp.JournalPosting{}, c.different(fmt.Sprintf("the journal was posted as batch %s, which is gone by now", held.ErpKey))
		case posting == nil:
			return t.enterJournal(ctx, entry, debits)
		case !posting.Is(entry):
			return erp.JournalPosting{}, c.different("a journal of this reference exists with other lines")
		}
		return *posting, t.setXref(ctx, entityJournal, entry.Reference, row{"erpkey": posting.Number})
	})
}

func (c *Client) checkJournal(entry canonical.JournalEntry) error {
	if entry.Reference == "" {
		return c.bug("a journal needs a reference")
	}
	if !entry.Balanced() || len(entry.Lines) < 2 {
		return c.refuse(fault.Value, codeUnbalanced, "the journal is not balanced, nothing was written")
	}
	return c.checkDate("glbatch.trandate", entry.Date)
}

// enterJournal writes the batch.
func (t *tx) enterJournal(ctx context.Context, entry canonical.JournalEntry, debits decimal.Decimal) (erp.JournalPosting, error) {
	var none erp.JournalPosting
	open, err := t.openPeriod(ctx, moduleLedger, entry.Date)
	if err != nil {
		return none, err
	}
	codes := make([]string, 0, len(entry.Lines))
	for _, line := range entry.Lines {
		codes = append(codes, line.Account)
	}
	if err := t.checkAccounts(ctx, codes, "gltran[%d].glacnt"); err != nil {
		return none, err
	}
	number, err := t.nextDocument(ctx, counterBatch, "glbatch", "batchno")
	if err != nil {
		return none, err
	}
	err = t.insert(ctx, "glbatch", row{"batchno": number, "source": batchSource, "ref": t.fitted("glbatch", "ref", entry.Reference), "trandate": entry.Date,
		"glyear": open.GLYear, "glperiod": open.GLPeriod, "status": batchOpen, "totdr": debits, "totcr": debits})
	if err != nil {
		return none, err
	}
	for i, line := range entry.Lines {
		reference := entry.Reference
		if line.Reference != "" {
			reference = line.Reference
		}
		description := entry.Description
		if line.Description != "" {
			description = line.Description
		}
		// Texts for people are cut: a journal comes from no mapping of this ERP that could have seen their lengths.
		err := t.insert(ctx, "gltran", row{"batchno": number, "seq": i + 1, "glacnt": line.Account, "trandate": entry.Date, "ref": t.fitted("gltran", "ref", reference),
			"descrip": t.cut("gltran", "descrip", description), "amount": line.Debit.Sub(line.Credit)})
		if err != nil {
			return none, err
		}
	}
	posting := erp.JournalPosting{Reference: entry.Reference, Number: number, Year: int(open.GLYear), Period: int(open.GLPeriod), Total: debits}
	for _, line := range entry.Lines {
		posting.Lines = append(posting.Lines, canonical.JournalLine{Account: foldCode(line.Account), Debit: line.Debit, Credit: line.Credit})
	}
	return posting, t.setXref(ctx, entityJournal, entry.Reference, row{"erpkey": number})
}

// checkAccounts refuses accounts that the chart has not, and those that take no entries. path names a line's account, by its index.
func (t *tx) checkAccounts(ctx context.Context, codes []string, path string) error {
	var held []struct {
		Account text `db:"glacnt"`
		Active  flag `db:"active"`
	}
	err := t.list(ctx, &held, "SELECT {glacct: glacnt active} FROM {glacct} WHERE {glacct.glacnt} IN ("+marks(len(codes))+")", t.values("glacct.glacnt", codes)...)
	if err != nil {
		return err
	}
	_, tells := t.site.column("glacct", "active")
	active := map[string]bool{}
	for _, account := range held {
		active[foldCode(string(account.Account))] = bool(account.Active) || !tells
	}
	var unknown, inactive []fault.Field
	for i, code := range codes {
		takes, exists := active[foldCode(code)]
		field := fault.Field{Path: fmt.Sprintf(path, i), Rule: "must exist in the ERP: " + code}
		switch {
		case !exists:
			unknown = append(unknown, field)
		case !takes:
			field.Rule = "takes no entries: " + code
			inactive = append(inactive, field)
		}
	}
	switch {
	case len(unknown) > 0:
		return t.client.refuse(fault.MissingReference, codeAccount, "the chart of accounts has not every account", unknown...)
	case len(inactive) > 0:
		return t.client.refuse(fault.DeclinedByPolicy, codeHeld, "an account is not active", inactive...)
	}
	return nil
}
