package sagepro

import (
	"context"
	"fmt"
	"strings"
)

// sideTypes are the types of our own tables in a dialect, and its statements that make a table or an index where there is none.
type sideTypes struct {
	money, text, instant, date, bigint string
	exact                              string // of a text: each letter is itself alone, capital or not
	table                              string // name, columns
	index                              string // name, table, columns
}

// SideTables gives the statements that make our own tables beside the ERP's, where they are not there yet: cyb_xref tells which document came of
// which operation, cyb_paystat what became of an order's money, cyb_watermark counts, cyb_change remembers what changed.
func (c *Client) SideTables() []string {
	return sideTables(c.dialect, c.config.Names, c.config.Company)
}

// SetUp makes our own tables where they are not there yet.
func (c *Client) SetUp(ctx context.Context) error {
	return c.change(ctx, "SetUp", func(ctx context.Context) error {
		for _, statement := range c.SideTables() {
			if _, err := c.config.DB.ExecContext(ctx, statement); err != nil {
				return c.failed(err)
			}
		}
		c.site.Store(nil)
		return nil
	})
}

func sideTables(d dialect, names Names, company string) []string {
	types := d.types()
	fill := strings.NewReplacer(" EXACT", types.exact, "MONEY", types.money, "LONGTEXT", types.text, "INSTANT", types.instant, "DATE", types.date, "BIGINT", types.bigint)
	table := func(name, columns string) string {
		return fmt.Sprintf(types.table, qualified(d, names.table(name, company)), fill.Replace(columns))
	}
	return []string{
		table("cyb_xref", `company CHAR(2) NOT NULL, entity VARCHAR(16) NOT NULL, extref VARCHAR(64) EXACT NOT NULL, erpkey VARCHAR(40), cybtxn VARCHAR(26),
 payhash CHAR(64), state VARCHAR(12), amount MONEY, currid CHAR(3), answer LONGTEXT, created INSTANT, updated INSTANT, PRIMARY KEY (company, entity, extref)`),
		table("cyb_paystat", `company CHAR(2) NOT NULL, sono CHAR(10) NOT NULL, cybtxn VARCHAR(26) NOT NULL, method VARCHAR(12), paystatus VARCHAR(20),
 amount MONEY, currid CHAR(3), tokenid VARCHAR(40), last4 CHAR(4), updated INSTANT, PRIMARY KEY (company, sono, cybtxn)`),
		table("cyb_watermark", `company CHAR(2) NOT NULL, stream VARCHAR(24) NOT NULL, lastid BIGINT, lastdate DATE, lasttime CHAR(8), PRIMARY KEY (company, stream)`),
		table("cyb_change", `company CHAR(2) NOT NULL, stream VARCHAR(24) NOT NULL, number VARCHAR(40) NOT NULL, `+d.quote("print")+` CHAR(64), changed INSTANT,
 state VARCHAR(12), PRIMARY KEY (company, stream, number)`),
		fmt.Sprintf(types.index, "cyb_xref_erpkey", qualified(d, names.table("cyb_xref", company)), "company, entity, erpkey"),
		fmt.Sprintf(types.index, "cyb_change_order", qualified(d, names.table("cyb_change", company)), "company, stream, changed, number"),
	}
}

// qualified writes a table's name with its schema.
func qualified(d dialect, parts []string) string {
	quoted := make([]string, 0, len(parts))
	for _, part := range parts {
		quoted = append(quoted, d.quote(part))
	}
	return strings.Join(quoted, ".")
}
