//! Databases on this host, asked as their administrator.

use super::{Scene, in_time};
use crate::modules::shared::sql::{Engine, Server};
use crate::system::{Result, System};
use crate::wire::Failure;
use crate::wire::survey::{
    Database, DatabaseRequest, DatabaseServer, Schema, Seen, Table, TableRequest,
};
use std::collections::BTreeMap;

pub fn look(scene: &Scene<'_>) -> Vec<Database> {
    let asked = scene.asked.databases.iter();
    asked.map(|database| one(scene.system, database)).collect()
}

fn one(system: &System, asked: &DatabaseRequest) -> Database {
    let server = engine(&asked.engine).map(|engine| Server {
        system,
        engine,
        login: None,
    });
    let schema = |(name, tables): (&String, &Vec<TableRequest>)| {
        let found = server
            .clone()
            .and_then(|server| schema(&server, name, tables));
        (name.clone(), found.into())
    };
    Database {
        engine: asked.engine.clone(),
        server: server.clone().and_then(|server| about(&server)).into(),
        schemas: asked.schemas.iter().map(schema).collect(),
    }
}

fn engine(name: &str) -> Result<Engine> {
    serde_json::from_value(name.into())
        .map_err(|_| Failure::new(format!("`{name}` is none of mariadb, mysql and postgresql")))
}

fn about(server: &Server<'_>) -> Result<DatabaseServer> {
    let sql = match server.engine {
        Engine::Postgresql => {
            "SELECT current_setting('server_version'), current_setting('max_connections'), count(*) FROM pg_stat_activity;"
        }
        _ => "SELECT VERSION(), @@max_connections, COUNT(*) FROM information_schema.processlist;",
    };
    let row = server
        .ask(None, sql)?
        .into_iter()
        .next()
        .unwrap_or_default();
    let number = |at: usize| -> Result<u32> {
        let cell = row.get(at).and_then(|cell| cell.parse().ok());
        cell.ok_or_else(|| Failure::new(format!("{server} says of itself {row:?}")))
    };
    Ok(DatabaseServer {
        max_connections: number(1)?,
        connections: number(2)?,
        version: row.first().cloned().unwrap_or_default(),
    })
}

fn schema(server: &Server<'_>, name: &str, asked: &[TableRequest]) -> Result<Schema> {
    in_time(server.system)?;
    let Some((charset, collation)) = server.charset(name)? else {
        return Ok(Schema {
            exists: false,
            charset: String::new(),
            collation: String::new(),
            tables: Vec::new(),
            contents: BTreeMap::new(),
        });
    };
    let tables = server.tables(name)?;
    let content = |asked: &TableRequest| {
        let real = tables
            .iter()
            .find(|t| t.eq_ignore_ascii_case(&asked.table))?;
        let found: Seen<_> = table(server, name, real, &asked.columns).into();
        Some((asked.table.clone(), found))
    };
    let contents = asked.iter().filter_map(content).collect();
    Ok(Schema {
        exists: true,
        charset,
        collation,
        contents,
        tables,
    })
}

fn table(server: &Server<'_>, database: &str, name: &str, wanted: &[String]) -> Result<Table> {
    let engine = server.engine;
    let place = match engine {
        Engine::Postgresql => "table_schema NOT IN ('pg_catalog', 'information_schema')",
        _ => "table_schema = DATABASE()",
    };
    let sql = format!(
        "SELECT column_name FROM information_schema.columns WHERE {place} AND table_name = {} ORDER BY ordinal_position;",
        engine.text(name)
    );
    let columns: Vec<_> = server
        .ask(Some(database), &sql)?
        .into_iter()
        .flatten()
        .collect();
    if wanted.is_empty() {
        return Ok(Table {
            columns,
            rows: Vec::new(),
        });
    }
    let real = |wanted: &String| {
        let found = columns.iter().find(|c| c.eq_ignore_ascii_case(wanted));
        found
            .map(|column| engine.name(column))
            .ok_or_else(|| Failure::new(format!("table {name} has no column {wanted}")))
    };
    let chosen: Vec<_> = wanted.iter().map(real).collect::<Result<_>>()?;
    let sql = format!(
        "SELECT {} FROM {} LIMIT 50;",
        chosen.join(", "),
        engine.name(name)
    );
    let rows = server.ask(Some(database), &sql)?;
    Ok(Table { columns, rows })
}
