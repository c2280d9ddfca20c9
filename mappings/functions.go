package mappings

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // days must not depend on the machine's time zone files

	"github.com/expr-lang/expr"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// functions are what expressions can call beside the language's own. All are pure: no clock, no environment, no floats.
func functions(tables map[string]*table) []expr.Option {
	var options []expr.Option
	// Out go the clock, floats, and everything whose result has no type that a target could be checked against.
	for _, name := range []string{"now", "date", "duration", "timezone", "float", "mean", "median", "toJSON", "fromJSON", "toBase64",
		"fromBase64", "abs", "ceil", "floor", "round", "int", "string", "min", "max", "sum", "type", "get"} {
		options = append(options, expr.DisableBuiltin(name))
	}
	options = append(options, operators()...)
	return append(options,
		expr.Function("text", func(p ...any) (any, error) { return textOf(p[0]), nil }, new(func(any) string)),
		function2("lookup", func(name, key string) (string, error) { return lookup(tables, name, key) }),
		expr.Function("convert", func(p ...any) (any, error) {
			return convert(tables, p[0].(decimal.Decimal), p[1].(string), p[2].(string))
		}, new(func(decimal.Decimal, string, string) decimal.Decimal)),

		expr.Function("dec", func(p ...any) (any, error) { return toDecimal(p[0]) },
			new(func(string) decimal.Decimal), new(func(int) decimal.Decimal)),
		expr.Function("string", func(p ...any) (any, error) { return textOf(p[0]), nil },
			new(func(string) string), new(func(int) string), new(func(bool) string), new(func(decimal.Decimal) string)),
		expr.Function("round", func(p ...any) (any, error) { return p[0].(decimal.Decimal).Round(int32(p[1].(int))), nil },
			new(func(decimal.Decimal, int) decimal.Decimal)),
		expr.Function("abs", func(p ...any) (any, error) { return p[0].(decimal.Decimal).Abs(), nil },
			new(func(decimal.Decimal) decimal.Decimal)),
		expr.Function("min", func(p ...any) (any, error) { return decimal.Min(p[0].(decimal.Decimal), p[1].(decimal.Decimal)), nil },
			new(func(decimal.Decimal, decimal.Decimal) decimal.Decimal)),
		expr.Function("max", func(p ...any) (any, error) { return decimal.Max(p[0].(decimal.Decimal), p[1].(decimal.Decimal)), nil },
			new(func(decimal.Decimal, decimal.Decimal) decimal.Decimal)),
		expr.Function("minor", func(p ...any) (any, error) { return canonical.RoundAmount(p[0].(decimal.Decimal), p[1].(string)), nil },
			new(func(decimal.Decimal, string) decimal.Decimal)),
		expr.Function("sum", func(p ...any) (any, error) { return sum(p[0]) }, new(func([]any) decimal.Decimal)),

		expr.Function("merge", func(p ...any) (any, error) { return merge(p[0].([]Line), p[1].(string)), nil },
			new(func([]Line, string) []Line)),
		expr.Function("fold", func(p ...any) (any, error) {
			return fold(p[0].([]Line), p[1].(int), p[2].(string), p[3].(string)), nil
		}, new(func([]Line, int, string, string) []Line)),
		expr.Function("whole", func(p ...any) (any, error) { return whole(p[0].([]Line), p[1].(string)), nil },
			new(func([]Line, string) []Line)),
		expr.Function("entries", func(p ...any) (any, error) { return entries(p[0].(map[string]string)), nil },
			new(func(map[string]string) []Entry)),
		expr.Function("list", func(p ...any) (any, error) { return texts(p), nil }, new(func(...string) []string)),

		function1("firstName", firstName), function1("lastName", lastName),
		function1("ascii", ascii), function1("digits", digits), function1("squeeze", squeeze),
		expr.Function("coalesce", func(p ...any) (any, error) { return coalesce(p), nil }, new(func(...string) string)),
		expr.Function("left", func(p ...any) (any, error) { return left(p[0].(string), p[1].(int)), nil }, new(func(string, int) string)),
		expr.Function("right", func(p ...any) (any, error) { return right(p[0].(string), p[1].(int)), nil }, new(func(string, int) string)),
		expr.Function("wrap", func(p ...any) (any, error) { return wrap(p[0].(string), p[1].(int), p[2].(int)), nil },
			new(func(string, int, int) string)),
		expr.Function("wrapRest", func(p ...any) (any, error) { return wrapRest(p[0].(string), p[1].(int), p[2].(int)), nil },
			new(func(string, int, int) string)),
		expr.Function("day", func(p ...any) (any, error) { return day(p[0].(time.Time), p[1].(string)) },
			new(func(time.Time, string) string)),
		function2("regionCode", func(country, region string) (string, error) { return regionCode(tables, country, region) }),
	)
}

func function1(name string, f func(string) string) expr.Option {
	return expr.Function(name, func(p ...any) (any, error) { return f(p[0].(string)), nil }, new(func(string) string))
}

func function2(name string, f func(string, string) (string, error)) expr.Option {
	return expr.Function(name, func(p ...any) (any, error) { return f(p[0].(string), p[1].(string)) }, new(func(string, string) string))
}

// operatorNames are the functions that stand for the operators where decimals take part.
var operatorNames = map[string]string{
	"+": "decimalAdd", "-": "decimalSub", "*": "decimalMul", "/": "decimalDiv",
	"==": "decimalEq", "!=": "decimalNe", "<": "decimalLt", "<=": "decimalLe", ">": "decimalGt", ">=": "decimalGe",
}

var calculations = map[string]func(a, b decimal.Decimal) (decimal.Decimal, error){
	"+": func(a, b decimal.Decimal) (decimal.Decimal, error) { return a.Add(b), nil },
	"-": func(a, b decimal.Decimal) (decimal.Decimal, error) { return a.Sub(b), nil },
	"*": func(a, b decimal.Decimal) (decimal.Decimal, error) { return a.Mul(b), nil },
	"/": func(a, b decimal.Decimal) (decimal.Decimal, error) {
		if b.IsZero() {
			return decimal.Zero, errors.New("division by zero")
		}
		return a.DivRound(b, 12), nil
	},
}

var comparisons = map[string]func(order int) bool{
	"==": func(order int) bool { return order == 0 }, "!=": func(order int) bool { return order != 0 },
	"<": func(order int) bool { return order < 0 }, "<=": func(order int) bool { return order <= 0 },
	">": func(order int) bool { return order > 0 }, ">=": func(order int) bool { return order >= 0 },
}

// operators lets expressions calculate with decimals, and with whole numbers among them.
func operators() []expr.Option {
	type d = decimal.Decimal
	var options []expr.Option
	for symbol, calculate := range calculations {
		options = append(options, expr.Function(operatorNames[symbol], func(p ...any) (any, error) {
			a, b, err := operands(p)
			if err != nil {
				return nil, err
			}
			return calculate(a, b)
		}, new(func(d, d) d), new(func(d, int) d), new(func(int, d) d)))
	}
	for symbol, holds := range comparisons {
		options = append(options, expr.Function(operatorNames[symbol], func(p ...any) (any, error) {
			a, b, err := operands(p)
			return err == nil && holds(a.Cmp(b)), err
		}, new(func(d, d) bool), new(func(d, int) bool), new(func(int, d) bool)))
	}
	return options
}

func operands(p []any) (a, b decimal.Decimal, err error) {
	if a, err = toDecimal(p[0]); err != nil {
		return a, b, err
	}
	b, err = toDecimal(p[1])
	return a, b, err
}

func toDecimal(value any) (decimal.Decimal, error) {
	switch v := value.(type) {
	case decimal.Decimal:
		return v, nil
	case int:
		return decimal.NewFromInt(int64(v)), nil
	case string:
		if len(v) > 40 || strings.ContainsAny(v, "eE") {
			return decimal.Zero, errors.New("not a decimal number")
		}
		d, err := decimal.NewFromString(v)
		if err != nil {
			return decimal.Zero, errors.New("not a decimal number")
		}
		return d, nil
	default:
		return decimal.Zero, fmt.Errorf("not a decimal number but %T", value)
	}
}

// textOf writes scalars; other kinds do not pass the type checker.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case decimal.Decimal:
		return v.String()
	default:
		if named := reflect.ValueOf(value); named.Kind() == reflect.String {
			return named.String()
		}
		return fmt.Sprint(value)
	}
}

func sum(list any) (decimal.Decimal, error) {
	total := decimal.Zero
	items, isList := list.([]any)
	if !isList {
		return total, errors.New("sum needs a list of decimals, such as map(lines, .net)")
	}
	for _, item := range items {
		d, err := toDecimal(item)
		if err != nil {
			return total, err
		}
		total = total.Add(d)
	}
	return total, nil
}

func texts(p []any) []string {
	list := make([]string, 0, len(p))
	for _, item := range p {
		if s := textOf(item); s != "" {
			list = append(list, s)
		}
	}
	return list
}

func coalesce(p []any) string {
	for _, item := range p {
		if s := strings.TrimSpace(textOf(item)); s != "" {
			return s
		}
	}
	return ""
}

// day gives the calendar day of a moment in a time zone, YYYY-MM-DD.
func day(at time.Time, zone string) (string, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return "", errors.New("unknown time zone")
	}
	return at.In(location).Format(time.DateOnly), nil
}

// convert changes an amount into another currency by the table lookups/rates ("EUR/USD": price of one EUR in USD), rounded to
// the minor units of the target. The same currency needs no rate.
func convert(tables map[string]*table, amount decimal.Decimal, from, to string) (decimal.Decimal, error) {
	if from == to {
		return amount, nil
	}
	text, err := lookup(tables, "rates", from+"/"+to)
	if err != nil {
		return decimal.Zero, err
	}
	rate, err := toDecimal(text)
	if err != nil || !rate.IsPositive() {
		return decimal.Zero, errors.New("rate is not a positive decimal number")
	}
	return canonical.RoundAmount(amount.Mul(rate), to), nil
}

// regionCode gives the code of a region that may be written out, for the countries that the table "region" knows.
func regionCode(tables map[string]*table, country, region string) (string, error) {
	if region == "" || country != "US" && country != "CA" {
		return region, nil
	}
	if code := strings.ToUpper(strings.TrimSpace(region)); canonical.KnownRegion(country, code) {
		return code, nil
	}
	return lookup(tables, "region", country+"/"+strings.ToLower(squeeze(region)))
}
