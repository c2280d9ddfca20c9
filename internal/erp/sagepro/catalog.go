package sagepro

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const (
	maxSpellings     = 120 // all are asked for at once
	maxCustomerCodes = 6   // each is a look-up of its own
)

// NearStockCodes asks which spellings near a code exist. Of what exists, only the nearest are given: who wrote A-100 meant A100, not A200.
func (c *Client) NearStockCodes(ctx context.Context, stockCode, warehouse string, limit int) ([]string, error) {
	candidates := erp.Spellings(foldCode(stockCode), maxSpellings)
	if written := foldCode(stockCode); written != "" {
		candidates = slices.Insert(candidates, 0, erp.Spelling{Code: written}) // as it was written it may be kept elsewhere, or be in lower case
	}
	if len(candidates) == 0 || limit < 1 {
		return nil, nil
	}
	var near []string
	err := c.read(ctx, "NearStockCodes", func(ctx context.Context, q querier) error {
		codes := make([]string, 0, len(candidates))
		for _, candidate := range candidates {
			if most := q.site.size("icitem", "item"); most == 0 || utf8.RuneCountInString(candidate.Code) <= most {
				codes = append(codes, candidate.Code)
			}
		}
		kept, err := q.keptItems(ctx, codes, warehouse)
		near = erp.Nearest(candidates, func(code string) (string, bool) {
			held, exists := kept[foldCode(code)]
			return held, exists
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return near[:min(len(near), limit)], nil
}

// keptItems gives those of the codes that are kept at a location ("" for any): by their folded code, as the ERP spells them.
func (q querier) keptItems(ctx context.Context, codes []string, location string) (map[string]string, error) {
	kept := map[string]string{}
	for page := range slices.Chunk(distinctCodes(codes), mostKeys) {
		query, arguments := "SELECT {icitem: item} FROM {icitem} WHERE {icitem.item} IN ("+marks(len(page))+")", q.values("icitem.item", page)
		if location != "" {
			query = "SELECT {iciloc: item} FROM {iciloc} WHERE {iciloc.item} IN (" + marks(len(page)) + ") AND {iciloc.loctid} = ?"
			arguments = append(q.values("iciloc.item", page), q.value("iciloc.loctid", location))
		}
		var found []text
		if err := q.list(ctx, &found, query, arguments...); err != nil {
			return nil, err
		}
		for _, each := range found {
			kept[foldCode(string(each))] = string(each)
		}
	}
	return kept, nil
}

// NearCustomers asks by the shop's id and by e-mail address, then for a few spellings of the code. An e-mail address that several customers have
// tells nothing. Nobody is found by name: a name of one's own is no proof of anything.
func (c *Client) NearCustomers(ctx context.Context, hint erp.CustomerHint, limit int) ([]erp.Customer, error) {
	asks := []func() (erp.Customer, error){}
	if hint.ExternalID != "" {
		asks = append(asks, func() (erp.Customer, error) { return c.FindCustomer(ctx, erp.CustomerRef{ExternalID: hint.ExternalID}) })
	}
	if hint.Email != "" {
		asks = append(asks, func() (erp.Customer, error) { return c.customerByEmail(ctx, hint.Email) })
	}
	if code := foldCode(hint.Code); code != "" {
		for _, candidate := range slices.Insert(erp.Spellings(code, maxCustomerCodes), 0, erp.Spelling{Code: code}) {
			asks = append(asks, func() (erp.Customer, error) { return c.FindCustomer(ctx, erp.CustomerRef{Code: candidate.Code}) })
		}
	}
	var found []erp.Customer
	for _, ask := range asks {
		if len(found) >= limit {
			break
		}
		customer, err := ask()
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(found, func(other erp.Customer) bool { return other.Code == customer.Code }) {
			found = append(found, customer)
		}
	}
	return found, nil
}

// customerByEmail finds the one customer of an e-mail address, whatever its case.
func (c *Client) customerByEmail(ctx context.Context, email string) (erp.Customer, error) {
	var customer erp.Customer
	err := c.read(ctx, "NearCustomers", func(ctx context.Context, q querier) error {
		var found []customerRow
		if _, kept := q.site.column("arcust", "email"); kept {
			// SQL Server makes no text of type TEXT lower-case, which Sage Pro's memo fields became there.
			err := q.list(ctx, &found, "SELECT {top 2}"+customerColumns+" FROM {arcust} WHERE LOWER(CAST({arcust.email} AS VARCHAR(255))) = ?{limit 2}",
				q.value("arcust.email", strings.ToLower(strings.TrimSpace(email))))
			if err != nil {
				return err
			}
		}
		if len(found) != 1 {
			return c.notFound(codeCustomer, "no customer has this e-mail address alone")
		}
		customer = found[0].customer(c)
		return nil
	})
	return customer, err
}

// OpenPeriods tells the open periods of each module, by the table that Sage Pro keeps them in. The current one is that of today.
func (c *Client) OpenPeriods(ctx context.Context) ([]erp.Period, error) {
	var open []erp.Period
	err := c.read(ctx, "OpenPeriods", func(ctx context.Context, q querier) error {
		var found []period
		if err := q.list(ctx, &found, "SELECT {sycperd: sysid glyear glperiod startdt enddt isopen} FROM {sycperd} ORDER BY {sycperd.sysid}, {sycperd.startdt}"); err != nil {
			return err
		}
		for _, each := range found {
			module, ours := strings.CutSuffix(string(each.SysID), c.config.Company)
			if !ours || !bool(each.IsOpen) {
				continue
			}
			told := erp.Period{Module: module, Year: int(each.GLYear), Period: int(each.GLPeriod), First: string(each.StartDt), Last: string(each.EndDt)}
			told.Current = told.Covers(c.today())
			open = append(open, told)
		}
		return nil
	})
	return open, err
}
