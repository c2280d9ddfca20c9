package sagepro

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/fault"
)

// Check proves that the database answers and has every table and column that this package reads or writes, by the site's names. All that is
// missing is named at once.
func (c *Client) Check(ctx context.Context) error {
	known, err := c.look(ctx, "Check")
	if err != nil {
		return err
	}
	return c.lacking("the database has not what Sage Pro's names ask for", "no such table or column for this login", known.missing())
}

// look asks the database anew for what it has.
func (c *Client) look(ctx context.Context, name string) (*site, error) {
	var known *site
	err := c.guarded(ctx, methodRead, name, func(ctx context.Context) error {
		read, err := c.readSite(ctx)
		if err != nil {
			return c.failed(err)
		}
		known = read
		c.site.Store(read)
		return nil
	})
	return known, err
}

func (c *Client) lacking(message, rule string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	fields := make([]fault.Field, 0, len(names))
	for _, name := range names {
		fields = append(fields, fault.Field{Path: name, Rule: rule})
	}
	return c.refuse(fault.MissingReference, codeSite, message, fields...)
}

// target fits what mappings write to: a column of a table, of one row or of several.
var target = regexp.MustCompile(`^([a-z_]+)(\[\])?\.([A-Za-z0-9_$#]+)$`)

// documentTables are the tables whose columns documents may hold.
var documentTables = []string{"arcust", "arcadr", "somast", "sotran", "soaddr", "armast", "arcash"}

// CheckTargets holds the columns that mappings write to ("somast.webref", "sotran[].item") against the site: each must be there, and be one
// that documents may write. Targets of other shapes are no columns.
func (c *Client) CheckTargets(ctx context.Context, targets []string) error {
	known, err := c.look(ctx, "CheckTargets")
	if err != nil {
		return err
	}
	var lacking []string
	for _, each := range slices.Compact(slices.Sorted(slices.Values(targets))) {
		parts := target.FindStringSubmatch(each)
		if parts == nil || !slices.Contains(documentTables, parts[1]) {
			continue
		}
		if why := known.refuses(parts[1], parts[3]); why != "" {
			lacking = append(lacking, fmt.Sprintf("%s.%s: %s", parts[1], parts[3], why))
		}
	}
	return c.lacking("mappings write to columns that the site has not or that are not for documents", codeInvalidField, lacking)
}

// refuses tells why no document may hold a column, "" where one may.
func (s *site) refuses(table, name string) string {
	column, exists := s.column(table, name)
	switch {
	case isCardColumn(name), exists && isCardColumn(column.name):
		return "a card column is never written"
	case s.reserved(table, name) && !(table == "arcust" && name == "custno"):
		return "only the adapter writes it"
	case !exists, name != strings.ToLower(name):
		return "the site has no such column"
	}
	return ""
}
