package world

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/shopspring/decimal"
)

// Row is a row of a table of an ERP that is a database, raw: keys are filled up with blanks, decimals are text or numbers.
type Row map[string]any

// Text is a column without the blanks that fill it up.
func (r Row) Text(column string) string {
	value, _ := r[column].(string)
	return strings.TrimSpace(value)
}

// Amount is a column of money or quantity; nothing is zero.
func (r Row) Amount(column string) decimal.Decimal {
	switch value := r[column].(type) {
	case float64:
		return decimal.NewFromFloat(value)
	case string:
		if amount, err := decimal.NewFromString(strings.TrimSpace(value)); err == nil {
			return amount
		}
	}
	return decimal.Zero
}

// Tables are the rows of every table by its name in lower case, cards left out.
type Tables map[string][]Row

// Tables reads all of the ERP's tables as they are.
func (w *World) Tables(ctx context.Context) (Tables, error) {
	var answer struct {
		Tables Tables `json:"tables"`
	}
	err := w.want(ctx, http.MethodGet, w.ERP.URL+"/_sandbox/tables", "", nil, &answer, http.StatusOK)
	return answer.Tables, err
}

// Rows are those of a table and of the one that its finished rows are moved to, where a column has a value.
func (t Tables) Rows(table, history, column, value string) []Row {
	var found []Row
	for _, row := range append(append([]Row{}, t[table]...), t[history]...) {
		if row.Text(column) == value {
			found = append(found, row)
		}
	}
	return found
}

// Drift is a running total that is not what its documents come to.
type Drift struct {
	What     string `json:"what"`
	Key      string `json:"key"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// String is the difference for people.
func (d Drift) String() string {
	return fmt.Sprintf("%s of %s is %s, its documents come to %s", d.What, d.Key, d.Found, d.Expected)
}

// Drifts are the running totals of the ERP (what is on order, allocated, owed, on hand) that are not those of its documents.
func (w *World) Drifts(ctx context.Context) ([]Drift, error) {
	var answer struct {
		Differences []Drift `json:"differences"`
	}
	err := w.want(ctx, http.MethodGet, w.ERP.URL+"/_sandbox/drift", "", nil, &answer, http.StatusOK)
	return answer.Differences, err
}
