package mappings

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	engine "github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// program is a compiled expression; safe for concurrent use.
type program struct {
	source string
	vm     *vm.Program
	result reflect.Type
	roots  []string // roots that it reads
}

// scope is what an expression can name: the roots and, inside each, the item with its index.
type scope map[string]any

// roots gives the scope for type checking; its values only show their types.
func roots() scope {
	return scope{
		"order": &canonical.Order{}, "payment": &canonical.Payment{}, "customer": &CustomerRef{},
		"salesOrder": &canonical.SalesOrder{}, "invoice": &canonical.Invoice{}, "credit": &Credit{},
		"settlement": &canonical.Settlement{}, "orderStatus": "", "site": map[string]string{}, "date": "",
		"lines": []Line{},
	}
}

// with gives the scope inside each over a list of this type.
func (s scope) with(item reflect.Type) scope {
	inner := scope{"item": reflect.Zero(item).Interface(), "index": 0}
	for name, value := range s {
		inner[name] = value
	}
	return inner
}

// values gives the scope for evaluation.
func (in *Input) values() map[string]any {
	site := in.Site
	if site == nil {
		site = map[string]string{}
	}
	return map[string]any{
		"order": &in.Order, "payment": &in.Payment, "customer": &in.Customer, "salesOrder": &in.SalesOrder,
		"invoice": &in.Invoice, "credit": &in.Credit, "settlement": &in.Settlement, "orderStatus": in.OrderStatus,
		"site": site, "date": in.Date, "lines": linesOf(in.Order),
	}
}

var (
	pathShape   = regexp.MustCompile(`^[a-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9_]*|\[[0-9]+\]|\["[^"\\]*"\])*$`)
	decimalType = reflect.TypeFor[decimal.Decimal]()
	stringType  = reflect.TypeFor[string]()
)

// compiler turns sources into programs; tables are the lookups that expressions may name. It is for one goroutine.
type compiler struct {
	tables  map[string]*table
	configs map[reflect.Type]*conf.Config // by the type of the item in scope; making one takes longer than a compilation
}

func newCompiler(tables map[string]*table) *compiler {
	return &compiler{tables: tables, configs: map[reflect.Type]*conf.Config{}}
}

// config gives the language for a scope.
func (c *compiler) config(s scope) *conf.Config {
	item := reflect.TypeOf(s["item"])
	if known, there := c.configs[item]; there {
		return known
	}
	config := conf.CreateNew()
	for _, option := range append([]expr.Option{expr.Env(map[string]any(s))}, functions(c.tables)...) {
		option(config)
	}
	for name := range config.Disabled {
		delete(config.Builtins, name)
	}
	config.Visitors = append(config.Visitors, plainText{}, &decimalOperators{})
	config.Check()
	c.configs[item] = config
	return config
}

// compile parses and type-checks; errors are one sentence, with the place inside the source.
func (c *compiler) compile(source string, s scope) (*program, error) {
	config := c.config(s)
	tree, err := parser.ParseWithConfig(source, config)
	if err != nil {
		return nil, compileError(err)
	}
	read := &reader{scope: s, tables: c.tables}
	ast.Walk(&tree.Node, read)
	if len(read.problems) > 0 {
		return nil, errors.New(strings.Join(read.problems, "; "))
	}
	result, err := new(checker.Checker).PatchAndCheck(tree, config)
	if err != nil {
		return nil, compileError(err)
	}
	if err := optimizer.Optimize(&tree.Node, config); err != nil {
		return nil, compileError(err)
	}
	compiled, err := engine.Compile(tree, config)
	if err != nil {
		return nil, compileError(err)
	}
	return &program{source: source, vm: compiled, result: result, roots: read.roots}, nil
}

func compileError(err error) error {
	var located *file.Error
	if errors.As(err, &located) {
		return fmt.Errorf("%s (column %d of the expression)", located.Message, located.Column+1)
	}
	return err
}

// reader notes what a source reads and checks what the type checker can't: the names of lookups.
type reader struct {
	scope    scope
	tables   map[string]*table
	roots    []string
	problems []string
}

// Visit implements ast.Visitor.
func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		name := n.Value
		if name == "lines" {
			name = "order"
		}
		if _, known := r.scope[name]; known && !slices.Contains(r.roots, name) {
			r.roots = append(r.roots, name)
		}
	case *ast.CallNode:
		callee, isName := n.Callee.(*ast.IdentifierNode)
		if !isName || callee.Value != "lookup" || len(n.Arguments) == 0 {
			return
		}
		name, literal := n.Arguments[0].(*ast.StringNode)
		if !literal {
			r.problems = append(r.problems, "lookup needs the table's name as its first argument, in quotes")
		} else if err := knownTable(r.tables, name.Value); err != nil {
			r.problems = append(r.problems, err.Error())
		}
	}
}

// run evaluates. The error's text names no value of the input.
func (p *program) run(env map[string]any) (any, error) {
	value, err := vm.Run(p.vm, env)
	if err == nil {
		return value, nil
	}
	var located *file.Error
	if errors.As(err, &located) && located.Prev != nil {
		return nil, located.Prev
	}
	if errors.As(err, &located) {
		return nil, errors.New(located.Message)
	}
	return nil, err
}

func (p *program) reads(root string) bool { return slices.Contains(p.roots, root) }

// plainText makes named strings (order.payment.capture, payment.status) plain ones, or comparing them with a literal would be false
// whatever they say.
type plainText struct{}

// Visit implements ast.Visitor.
func (plainText) Visit(node *ast.Node) {
	switch (*node).(type) {
	case *ast.MemberNode, *ast.IdentifierNode, *ast.PointerNode:
	default:
		return
	}
	if t := (*node).Type(); t == nil || t.Kind() != reflect.String || t == stringType {
		return
	}
	call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: "text"}, Arguments: []ast.Node{*node}}
	call.SetType(stringType)
	ast.Patch(node, call)
}

// decimalOperators replaces operators with functions where a decimal takes part. It does in one visitor what the language's own
// overloading does in one per operator, each of which checks the types of the whole tree again.
type decimalOperators struct{ applied bool }

// Reset implements the protocol of visitors that run until nothing changes.
func (d *decimalOperators) Reset() { d.applied = false }

// ShouldRepeat asks for another run: a replaced operator may have been the operand of another one.
func (d *decimalOperators) ShouldRepeat() bool { return d.applied }

// Visit implements ast.Visitor.
func (d *decimalOperators) Visit(node *ast.Node) {
	binary, isBinary := (*node).(*ast.BinaryNode)
	if !isBinary {
		return
	}
	name, overloaded := operatorNames[binary.Operator]
	left, right := binary.Left.Type(), binary.Right.Type()
	if !overloaded || !calculable(left) || !calculable(right) || left != decimalType && right != decimalType {
		return
	}
	result := decimalType
	if _, calculates := calculations[binary.Operator]; !calculates {
		result = reflect.TypeFor[bool]()
	}
	call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: []ast.Node{binary.Left, binary.Right}}
	call.SetType(result)
	ast.Patch(node, call)
	d.applied = true
}

// calculable tells which types go together with decimals: no floats.
func calculable(t reflect.Type) bool { return t == decimalType || t == reflect.TypeFor[int]() }
