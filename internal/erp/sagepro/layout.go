package sagepro

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind says how a column's values are written and read.
type kind string

const (
	kindText    kind = "text"
	kindNumber  kind = "number" // a document's number: filled up with blanks on the left
	kindCode    kind = "code"   // a customer, item, account: upper case, filled up with blanks on the right
	kindDecimal kind = "decimal"
	kindInteger kind = "integer"
	kindDate    kind = "date"
	kindFlag    kind = "flag"    // Y or N
	kindInstant kind = "instant" // a moment in UTC, in side tables
)

// use says what the adapter does with a column.
type use int

const (
	needed   use = iota // the adapter reads or writes it: Check asks for it
	optional            // the adapter reads or writes it where the site has it
	known               // documents may hold it; its shape is known where a database does not tell
)

// column is a column as this package knows it. A site may have it under another name.
type column struct {
	kind  kind
	size  int  // characters, 0 for any; of a decimal its places
	use   use  //
	ours  bool // documents must not hold it: a key, total, counter, status, lock or audit
	table string
}

// tables of the ERP and beside it. A column reads name:kind[size][marks]; marks: ? optional, ~ known, ! only the adapter writes it. The names
// are those of a stock Sage Pro; Names translates them to the site's.
const (
	audit = " adduser:text4?! adddate:date?! addtime:text8?!"
	locks = " lckstat:text1?! lckuser:text4?! lckdate:date?! lcktime:text8?!"

	layoutText = `
arcust id_col:integer~! custno:code6! company:text35 contact:text30? address1:text35? address2:text35? city:text20? state:text10? zip:text10?
 country:text15? phone:text20? email:text? terr:text3~ salesmn:text4~ pterms:text20 pdisc:decimal3~ pdays:integer~ pnet:integer~ tax:decimal3~
 disc:decimal3~ limit:decimal4 balance:decimal4! onorder:decimal4! lpymt:decimal4?! lastpay:date?! lsale:decimal4?! ldate:date?! gllink:text3~
 aracct:text24~ pricecode:text3~ taxcode:text6~ currency:text3 shipvia:text15~ comment:text65~ credstat:text1! custstat:text1?!` + audit + locks + `
arcadr custno:code6! cshipno:text6 defaship:text1~ company:text35~ contact:text30~ address1:text35~ address2:text35~ address3:text35~ city:text20~
 state:text10~ zip:text10~ country:text15~ email:text100~ shipvia:text15~
somast id_col:integer! sono:number10! custno:code6 sodate:date ordate:date? ponum:text20! ornum:number10?! shipvia:text15? fob:text15~
 cshipno:text6~ pterms:text20? taxrate:decimal3~ tax:decimal4 taxsamt:decimal4?! ordamt:decimal4! shpamt:decimal4! disc:decimal3~ sostat:text1!
 sotype:text1! salesmn:text4~ terr:text3~ glarec:text24~ loctid:code3? currid:text3 exchrat:decimal6? sotrack:text40? orderstat:text10!` + audit + locks + `
sotran id_col:integer! sono:number10! tranlineno:integer custno:code6! item:code15 descrip:text35? price:decimal4 cost:decimal4?! disc:decimal3~
 qtyord:decimal4 origqtyord:decimal4! qtyshp:decimal4! extprice:decimal4 taxable:flag? taxrate:decimal3~ ordate:date? rqdate:date~ shipdate:date?!
 sostat:text1! sotype:text1! stkcode:flag! loctid:code3 glsale:text24~ glasst:text24~ umeasur:text4~` + audit + `
soaddr sono:number10! custno:code6?! adtype:text1 company:text35~ address1:text35~ address2:text35~ address3:text35~ city:text20~ state:text10~
 zip:text10~ country:text15~ email:text100~
socomm sono:number10! seq:integer?! comment:text65
icitem item:code15! itmdesc:text35? price:decimal4~ avgcost:decimal4? stkcode:flag taxcode:text6~ stkumid:text4~ ionhand:decimal4?
iciloc item:code15! loctid:code3 lonhand:decimal4 lsoaloc:decimal4 lonordr:decimal4~
ictran id_col:integer~! ttranno:number10?! trantyp:text1 item:code15 loctid:code3 tdate:date tqty:decimal4 tcost:decimal4? docno:text20? orgno:text20?
armast id_col:integer! invno:number10! custno:code6! invdte:date! artype:text1! arstat:text1! ornum:number10! ponum:text20?! pterms:text20? tax:decimal4!
 invamt:decimal4! paidamt:decimal4! balance:decimal4! currid:text3! exchrat:decimal6?! sotrack:text40? arnotes:text200?` + audit + `
artran id_col:integer! invno:number10! sono:number10! tranlineno:integer! custno:code6! item:code15! descrip:text35? qtyord:decimal4? qtyshp:decimal4
 price:decimal4 cost:decimal4? extprice:decimal4 artype:text1? invdte:date? taxable:flag?
arcash id_col:integer! custno:code6! invno:number10! dtepaid:date! paidamt:decimal4! disc:decimal4~! refno:text20! paytype:text1! bankacct:text24
 currid:text3! ponum:text20?` + audit + `
apvend vendno:code6! company:text35~
apmast id_col:integer~! vendno:code6! invno:text20! purdate:date duedate:date puramt:decimal4! paidamt:decimal4?! ref:text20 apstat:text1?! adduser:text4?!
apdist vendno:code6! invno:text20! seq:integer! glacnt:code24 amount:decimal4!
glacct glacnt:code24! gldesc:text53~ acttype:text1~ active:flag?
glbatch batchno:number10! source:text2 ref:text20! trandate:date! glyear:integer! glperiod:integer! status:text1! totdr:decimal4! totcr:decimal4!` + audit + `
gltran batchno:number10! seq:integer! glacnt:code24! trandate:date! ref:text20! descrip:text40? amount:decimal4!
sycnext sysid:text4! keyname:text12! nextval:integer!
sycperd sysid:text4! glyear:integer! glperiod:integer! startdt:date! enddt:date! isopen:flag!
sycrate currid:text3! ratedate:date! rate:decimal6!
cyb_xref company:text2! entity:text16! extref:text64! erpkey:text40! cybtxn:text26! payhash:text64! state:text12! amount:decimal4! currid:text3!
 answer:text! created:instant! updated:instant!
cyb_paystat company:text2! sono:number10! cybtxn:text26! method:text12! paystatus:text20! amount:decimal4! currid:text3! tokenid:text40! last4:text4!
 updated:instant!
cyb_watermark company:text2! stream:text24! lastid:integer! lastdate:date! lasttime:text8!
cyb_change company:text2! stream:text24! number:text40! print:text64! changed:instant! state:text12!`
)

// twins are the tables that finished rows move to, with the same columns.
var twins = map[string]string{"somast": "soymst", "sotran": "soytrn", "soaddr": "soyadr", "armast": "arymst", "artran": "arytrn", "arcash": "arycash",
	"ictran": "icytrn"}

// optionalTables are those that a site may do without.
var optionalTables = []string{"arcadr", "socomm", "ictran", "icytrn", "sycrate"}

// isSide tells whether a table is ours, beside the ERP's.
func isSide(table string) bool { return strings.HasPrefix(table, "cyb_") }

// layout is what this package knows of every table: table -> column -> shape. History twins are in it under their own names.
type layout map[string]map[string]column

// stockLayout reads layoutText. It can only fail through a slip in this file, which a test would show.
func stockLayout() (layout, error) {
	all := layout{}
	var columns map[string]column
	var table string
	for word := range strings.FieldsSeq(layoutText) {
		name, shape, isColumn := strings.Cut(word, ":")
		if !isColumn {
			table, columns = word, map[string]column{}
			all[table] = columns
			continue
		}
		parsed, err := parseColumn(shape)
		if err != nil || columns == nil {
			return nil, fmt.Errorf("layout of %s.%s: %q", table, name, shape)
		}
		parsed.table = table
		columns[name] = parsed
	}
	for current, history := range twins {
		all[history] = all[current]
	}
	return all, nil
}

func parseColumn(shape string) (column, error) {
	var c column
	bare := strings.TrimRight(shape, "?~!")
	marks := shape[len(bare):]
	c.ours = strings.Contains(marks, "!")
	switch {
	case strings.Contains(marks, "?"):
		c.use = optional
	case strings.Contains(marks, "~"):
		c.use = known
	}
	name := strings.TrimRight(bare, "0123456789")
	if digits := bare[len(name):]; digits != "" {
		size, err := strconv.Atoi(digits)
		if err != nil {
			return c, err
		}
		c.size = size
	}
	c.kind = kind(name)
	kinds := []kind{kindText, kindNumber, kindCode, kindDecimal, kindInteger, kindDate, kindFlag, kindInstant}
	if !slices.Contains(kinds, c.kind) {
		return c, fmt.Errorf("unknown kind %q", name)
	}
	return c, nil
}
