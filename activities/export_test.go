package activities

// InputHash lets tests begin operations as an activity that died would have.
var InputHash = inputHash
