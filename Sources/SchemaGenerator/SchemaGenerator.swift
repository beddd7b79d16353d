@main struct SchemaGenerator { static func main() {} }
